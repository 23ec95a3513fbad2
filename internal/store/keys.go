// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"time"
)

// keySize is the length of a secret that Kaeru makes for itself, in bytes.
const keySize = 32

// Key returns the secret of that name, and makes it when there is none. All processes on a database get the same.
func (s *Store) Key(ctx context.Context, name string) ([]byte, error) {
	key, err := s.readKey(ctx, name)
	if !IsNotFound(err) {
		return key, err
	}
	fresh := make([]byte, keySize)
	if _, err := rand.Read(fresh); err != nil {
		return nil, fmt.Errorf("make the key %s: %w", name, err)
	}
	if _, err := s.Exec(ctx, `INSERT INTO keys (name, value, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING`,
		name, base64.StdEncoding.EncodeToString(fresh), Millis(time.Now())); err != nil {
		return nil, fmt.Errorf("store the key %s: %w", name, err)
	}
	// Another process may have been first: its key counts.
	return s.readKey(ctx, name)
}

func (s *Store) readKey(ctx context.Context, name string) ([]byte, error) {
	var text string
	if err := s.QueryRow(ctx, `SELECT value FROM keys WHERE name = $1`, name).Scan(&text); err != nil {
		return nil, fmt.Errorf("read the key %s: %w", name, err)
	}
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != keySize {
		return nil, fmt.Errorf("the key %s in the table keys is damaged", name)
	}
	return key, nil
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package journey decides what happens next to a customer in a scenario: wait, if, send, exit.
//
// It is pure: it reads no clock and no database. What is known of a customer comes in as Facts with
// the moment of the decision, and what is to be done comes out as a Decision, so that a journey of
// thirty days runs in a test in microseconds.
package journey

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
)

// Shop is what a shop's ConfigMap says for all of its resources.
type Shop struct {
	Name         string `json:"name,omitempty"`
	URL          string `json:"url,omitempty"`
	TimeZone     string `json:"timeZone,omitempty"`
	Currency     string `json:"currency,omitempty"`
	Language     string `json:"language,omitempty"`
	DormantAfter string `json:"dormantAfter,omitempty"`
	LowStock     string `json:"lowStock,omitempty"`
	// Purposes are what scenarios may be for. No message is made of them, so they are not in a bundle.
	Purposes []Purpose `json:"-"`
}

// Location gives the shop's zone, UTC where it names none.
func (s Shop) Location() (*time.Location, error) {
	if s.TimeZone == "" {
		return time.UTC, nil
	}
	loc, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		return nil, fmt.Errorf("timeZone %q is not an IANA zone such as Asia/Tokyo", s.TimeZone)
	}
	return loc, nil
}

// Bundle is all that planning and sending need of a Scenario: its spec with the content it refers
// to written in, and the shop it belongs to. A run keeps the bundle that planned it.
type Bundle struct {
	Spec crm.ScenarioSpec `json:"spec"`
	Shop Shop             `json:"shop"`
}

// Revision names the bundle by its content. What changes nothing for a customer (suspend,
// description) does not change it.
func (b Bundle) Revision() (revision string, text []byte, err error) {
	b.Spec.Suspend, b.Spec.Description = false, ""
	text, err = json.Marshal(b)
	if err != nil {
		return "", nil, fmt.Errorf("writing the bundle of a scenario: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:5]), text, nil
}

// ReadBundle reads what Revision wrote.
func ReadBundle(text []byte) (Bundle, error) {
	var b Bundle
	if err := json.Unmarshal(text, &b); err != nil {
		return Bundle{}, fmt.Errorf("reading the bundle of a scenario: %w", err)
	}
	return b, nil
}

// Error is something in a Scenario that people have to change. Path is the field's.
type Error struct {
	Path    string
	Message string
}

func (e *Error) Error() string { return e.Path + ": " + e.Message }

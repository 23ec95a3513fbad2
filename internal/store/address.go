// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
)

// address is a parsed DSN. shown has no password and goes into errors and logs.
type address struct {
	dialect  Dialect
	shown    string
	path     string // SQLite
	postgres *pgx.ConnConfig
}

const addressForms = "write sqlite:///path/kaeru.db or postgres://user@host/database"

// parseAddress never repeats what it could not read: a password may be in it.
func parseAddress(dsn string) (*address, error) {
	if dsn == "" {
		return nil, errors.New("the store has no address: " + addressForms)
	}
	scheme, rest, found := strings.Cut(dsn, ":")
	if !found {
		return nil, errors.New("the store's address has no scheme: " + addressForms)
	}
	switch scheme {
	case "sqlite":
		return parseSQLiteAddress(rest)
	case "postgres", "postgresql":
		return parsePostgresAddress(dsn)
	}
	if len(scheme) > 20 || strings.ContainsAny(scheme, "@/ =") {
		return nil, errors.New("the store's address has no scheme: " + addressForms)
	}
	return nil, fmt.Errorf("a store with the scheme %q is not supported: %s", scheme, addressForms)
}

func parseSQLiteAddress(rest string) (*address, error) {
	path := strings.TrimPrefix(rest, "//")
	switch {
	case strings.Contains(path, ":memory:"):
		return nil, errors.New("a store in memory is not supported, as every connection would see another: name a file, sqlite:///path/kaeru.db")
	case path == "", strings.HasSuffix(path, "/"):
		return nil, errors.New("the store's address names no file: write sqlite:///path/kaeru.db")
	case strings.ContainsAny(path, "?#"):
		return nil, errors.New("a sqlite address takes no parameters: write sqlite:///path/kaeru.db")
	}
	absolute, err := filepath.Abs(filepath.FromSlash(path))
	if err != nil {
		return nil, fmt.Errorf("find the store's file: %w", err)
	}
	return &address{dialect: SQLite, path: absolute, shown: "sqlite://" + filepath.ToSlash(absolute)}, nil
}

func parsePostgresAddress(dsn string) (*address, error) {
	// Both parsers' errors may quote the address.
	u, err := url.Parse(dsn)
	if err != nil {
		return nil, errors.New("the store's address is not a URL: write postgres://user:password@host:5432/database, with special characters in the password percent-encoded")
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, errors.New("the store's address is not one PostgreSQL can use: write postgres://user:password@host:5432/database, and check its parameters (sslmode, sslrootcert, …)")
	}
	if _, named := config.RuntimeParams["application_name"]; !named {
		config.RuntimeParams["application_name"] = "kaeru"
	}
	shown := url.URL{Scheme: "postgres", Host: u.Host, Path: "/" + config.Database}
	return &address{dialect: Postgres, shown: shown.String(), postgres: config}, nil
}

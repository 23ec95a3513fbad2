// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package architecture holds the test that keeps the rooms of the house apart.
package architecture

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/kaeru-dev/kaeru/"

// rooms is what each room may import of this module, itself aside. Data walks one way, facts in,
// metrics, membership, enrolment, decision, outbox, provider, receipt, status, and a room imports
// only what comes earlier on that walk; so a change there can't be felt further up.
var rooms = map[string][]string{
	"api":              nil,
	"internal/clock":   nil,
	"internal/money":   nil,
	"internal/testenv": nil, // imported by tests and the demo
	"internal/version": nil,

	"internal/replenish": nil,
	"internal/evidence":  nil,
	"internal/bounce":    nil,

	"internal/schedule":  {"api", "clock"},
	"internal/store":     {"api", "clock", "money", "schedule", "replenish"},
	"internal/ingest":    {"clock", "money", "store"},
	"internal/tracking":  {"money", "store", "ingest"},
	"internal/audience":  {"api", "clock", "money", "schedule", "store"},
	"internal/recommend": {"api", "clock", "money", "schedule", "store", "replenish"},
	"internal/journey":   {"api", "clock", "money", "schedule", "store", "audience"},
	"internal/content":   {"api", "clock", "money", "schedule", "store", "audience", "journey"},
	"internal/channel":   {"api", "clock", "money", "schedule", "store", "content", "version"},
	"internal/dispatch":  {"api", "clock", "money", "schedule", "store", "audience", "journey", "content", "channel", "evidence", "recommend"},
	"internal/report":    {"api", "clock", "money", "schedule", "store", "audience", "journey", "dispatch"},
	"internal/gateway":   {"api", "clock", "money", "schedule", "store", "audience", "journey", "content", "channel", "dispatch", "report", "version", "ingest", "tracking", "bounce"},
	"controllers":        {"api", "clock", "money", "schedule", "store", "audience", "journey", "content", "channel", "dispatch", "report", "version", "evidence"},
	"internal/preview":   {"api", "clock", "money", "schedule", "store", "journey", "content", "channel", "dispatch", "controllers"},

	// Doubles of others' servers: they know nothing of Kaeru, and only commands and tests start them.
	"internal/sandbox": {"clock", "version"},
}

// free put the rooms together, and may import any.
var free = []string{"cmd", "hack", "internal/architecture", "internal/manager", "internal/stage", "internal/worker"}

func TestRoomsImportOnlyWhatComesBeforeThem(t *testing.T) {
	err := eachFile(t, func(file, room string) error {
		if slices.Contains(free, room) || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		allowed, known := rooms[room]
		if !known {
			t.Errorf("%s: the room %s is not in the table of this test: say there what it may import", file, room)
			return nil
		}
		for _, path := range imports(t, file) {
			if imported := roomOf(path); imported != room && !slices.Contains(allowed, strings.TrimPrefix(imported, "internal/")) {
				t.Errorf("%s: %s may not import %s: only %q", file, room, imported, allowed)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTableHasNoCycle(t *testing.T) {
	var visit func(room string, path []string)
	visit = func(room string, path []string) {
		if slices.Contains(path, room) {
			t.Fatalf("%s", strings.Join(append(path, room), " → "))
		}
		for _, next := range rooms[room] {
			if _, internal := rooms["internal/"+next]; internal {
				next = "internal/" + next
			}
			visit(next, append(slices.Clone(path), room))
		}
	}
	for room := range rooms {
		visit(room, nil)
	}
}

// eachFile calls f with every Go file of the module and its room.
func eachFile(t *testing.T, f func(file, room string) error) error {
	t.Helper()
	root := filepath.Join("..", "..")
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			_, err := os.Stat(filepath.Join(path, "go.mod"))
			if path != root && (err == nil || strings.HasPrefix(entry.Name(), ".") && entry.Name() != "..") {
				return fs.SkipDir // another module, or git's
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		return f(path, roomOf(module+filepath.ToSlash(filepath.Dir(relative))))
	})
}

// imports are those of this module.
func imports(t *testing.T, file string) (paths []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range parsed.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(path, module) {
			paths = append(paths, path)
		}
	}
	return paths
}

// roomOf is the room of a package: internal/<room>, or the top-level directory.
func roomOf(path string) string {
	parts := strings.Split(strings.TrimPrefix(path, module), "/")
	if parts[0] == "internal" && len(parts) > 1 {
		return strings.Join(parts[:2], "/")
	}
	return parts[0]
}

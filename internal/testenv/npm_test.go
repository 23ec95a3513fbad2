// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package testenv

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestNPMInstallsOnce(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("KAERU_CACHE", cache)
	manifests := filepath.Join("..", "gateway", "testdata", "sdk")
	dirs := make([]string, 4)
	var group sync.WaitGroup
	for i := range dirs {
		group.Go(func() {
			var err error
			if dirs[i], err = installNPM(t.Context(), manifests); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for _, dir := range dirs {
		if dir != dirs[0] {
			t.Errorf("installed into %s and %s", dir, dirs[0])
		}
	}
	if _, err := os.Stat(filepath.Join(dirs[0], "node_modules", "@segment", "analytics-node", "package.json")); err != nil {
		t.Error(err)
	}
	wantEntries(t, filepath.Join(cache, "npm"), 2) // the directory and its lock

	broken := t.TempDir()
	for _, name := range npmManifests {
		if err := os.WriteFile(filepath.Join(broken, name), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if dir, err := installNPM(t.Context(), broken); err == nil {
		t.Errorf("a lock file that is none was installed into %s", dir)
	}
	wantEntries(t, filepath.Join(cache, "npm"), 3) // and the other lock
	if _, err := installNPM(t.Context(), t.TempDir()); err == nil {
		t.Error("a directory without a lock file was installed")
	}
}

func wantEntries(t *testing.T, dir string, want int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != want {
		t.Errorf("%s has %v, want %d entries", dir, entries, want)
	}
}

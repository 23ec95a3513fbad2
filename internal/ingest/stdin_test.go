// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWhereTheRefusedRowsOfStdinGo(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if got := stdinRefused(); got != "stdin.refused.csv" {
		t.Errorf("in a directory of ours they go to %s", got)
	}
	// Nobody, not even root, writes into a directory that is gone.
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if got := stdinRefused(); got != filepath.Join(os.TempDir(), "stdin.refused.csv") {
		t.Errorf("where nothing can be written they go to %s", got)
	}
}

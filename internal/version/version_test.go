// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package version

import "testing"

func TestVersionIsWhatTheLinkerSet(t *testing.T) {
	t.Cleanup(func() { version, commit = "", "" })
	version, commit = "v1.2.3", "abc"
	if Version() != "v1.2.3" || Commit() != "abc" {
		t.Errorf("Version() = %q, Commit() = %q", Version(), Commit())
	}
}

func TestVersionIsNeverEmpty(t *testing.T) {
	if Version() == "" || Commit() == "" {
		t.Errorf("Version() = %q, Commit() = %q", Version(), Commit())
	}
}

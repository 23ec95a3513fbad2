// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package version tells which Kaeru this is.
package version

import (
	"runtime/debug"
	"strings"
)

// version and commit are set by the linker: see the Makefile.
var version, commit string

// Version is the release, such as v0.3.1, with what was added to it since, or what go says of a
// program that was not built by the Makefile, or "dev".
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && strings.HasPrefix(info.Main.Version, "v") {
		return info.Main.Version
	}
	return "dev"
}

// Commit is the commit this was built from, or "unknown".
func Commit() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}

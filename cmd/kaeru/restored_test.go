// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kaeru-dev/kaeru/internal/testenv"
)

func TestRestoredRefuses(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		for name, tt := range map[string]struct {
			args []string
			want string
		}{
			"no time":         {nil, "--backup is not set"},
			"no zone":         {[]string{"--backup", "2026-11-24 02:00"}, "a time with its zone"},
			"the future":      {[]string{"--backup", "2199-01-01T00:00:00Z"}, "in the future"},
			"nothing was due": {[]string{"--backup", "2026-01-01T00:00:00Z"}, ""},
		} {
			t.Run(name, func(t *testing.T) {
				cmd := root()
				var out bytes.Buffer
				cmd.SetOut(&out)
				cmd.SetArgs(append([]string{"restored", "--store", dsn, "-n", "shop"}, tt.args...))
				err := cmd.ExecuteContext(t.Context())
				if tt.want == "" {
					if err != nil || !strings.Contains(out.String(), "email") {
						t.Errorf("%v\n%s", err, out.String())
					}
				} else if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("%v, want %q", err, tt.want)
				}
			})
		}
	})
}

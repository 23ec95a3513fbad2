// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

func runSandbox(t *testing.T, args ...string) (string, error) {
	t.Helper()
	c := sandboxCommand()
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetErr(&out)
	c.SetArgs(args)
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

func TestSandboxFaults(t *testing.T) {
	table, err := runSandbox(t, "faults")
	if err != nil {
		t.Fatal(err)
	}
	text, err := runSandbox(t, "faults", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var list []sandbox.FaultPreset
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list) < 50 {
		t.Fatalf("%d faults: %v", len(list), err)
	}
	for _, p := range list {
		if !strings.Contains(table, "\n"+p.Name+" ") || p.Provider == "" || p.What == "" || p.Reaction == "" {
			t.Errorf("%+v is not whole, or not in the table", p)
		}
	}
}

func TestSandboxRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"an unknown fault":           {[]string{"--fault", "line-501"}, "`kaeru sandbox faults` lists them"},
		"an unknown setting":         {[]string{"--fault", "line-500:often=3"}, "write key=value with one of answerDelay, count"},
		"a wrong value":              {[]string{"--fault", "line-500:count=few"}, "write a whole number"},
		"an unknown output":          {[]string{"faults", "-o", "xml"}, "write table or json"},
		"a return path that is none": {[]string{"--returns", "127.0.0.1:25"}, "write one like smtp://127.0.0.1:2525"},
	} {
		t.Run(name, func(t *testing.T) {
			if len(tt.args) == 2 && tt.args[0] != "faults" {
				tt.args = append(tt.args, "--http-address", "127.0.0.1:0", "--smtp-address", "127.0.0.1:0")
			}
			if _, err := runSandbox(t, tt.args...); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v; want %q", err, tt.want)
			}
		})
	}
}

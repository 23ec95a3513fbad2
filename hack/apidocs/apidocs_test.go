// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	source := "package v1\n" + `
// Frog is a kind.
//
// +kubebuilder:subresource:status
type Frog struct {
	metav1.TypeMeta ` + "`json:\",inline\"`" + `
	// spec says | what.
	// +required
	Spec FrogSpec ` + "`json:\"spec\"`" + `
	hidden string
}

// FrogSpec is a spec.
// +kubebuilder:validation:XValidation:rule="self.a",message="set \"legs\", or none"
type FrogSpec struct {
	Common ` + "`json:\",inline\"`" + `
	// legs are names.
	// +kubebuilder:validation:MaxItems=4
	// +optional
	Legs []Leg ` + "`json:\"legs,omitempty\"`" + `
}

// Leg is a leg.
// +kubebuilder:validation:Enum=Left;Right
type Leg string

// Common is embedded.
type Common struct {
	// tags are free.
	Tags map[string]string ` + "`json:\"tags,omitempty\"`" + `
}
`
	if err := os.WriteFile(filepath.Join(dir, "types.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	types, err := parse(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	write(&out, types)
	_, got, _ := strings.Cut(out.String(), "v1alpha1\n\n")
	want := strings.TrimPrefix(`
- [Frog](#frog)

## Frog

Frog is a kind.

| field | type | |
|---|---|---|
| `+"`spec`"+` | [FrogSpec](#frogspec) | spec says \| what. *(required)* |

## FrogSpec

FrogSpec is a spec.

| field | type | |
|---|---|---|
| `+"`tags`"+` | map of string | tags are free. |
| `+"`legs`"+` | list of [Leg](#leg) | legs are names. *(at most 4 items)* |

Rules:

- set "legs", or none

## Leg

Leg is a leg.

string; one of `+"`Left`, `Right`"+`
`, "\n")
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestParseOfNothingIsAnError(t *testing.T) {
	if _, err := parse(t.TempDir()); err == nil {
		t.Error("a directory without Go files was no error")
	}
}

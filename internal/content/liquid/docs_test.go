// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package liquid

import (
	"os"
	"regexp"
	"testing"
)

func TestEveryFilterIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../docs/templates.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range filterArgs {
		if !regexp.MustCompile(`[\x60 \n]` + name + `[\x60 \n:]`).Match(text) {
			t.Errorf("docs/templates.md does not know the filter %s", name)
		}
	}
}

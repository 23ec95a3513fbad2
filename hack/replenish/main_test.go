// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// history is of 30 customers who buy every ten days, five times and in the last days of January 1997 once
// more, and of one who never comes back.
func history() string {
	var out strings.Builder
	out.WriteString(" customer_id  date number_of_cds  dollar_value\n")
	for customer := range 30 {
		for _, date := range []string{"19970101", "19970111", "19970121", "19970121", "19970131"} {
			fmt.Fprintf(&out, " %05d %s  1   11.77\n", customer, date)
		}
	}
	out.WriteString(" 99999 19970120 1 5.00\n")
	return out.String()
}

func TestRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	if err := os.WriteFile(path, []byte(history()), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := run(&out, path, []string{"1997-01-25"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"## 1997-01-25: 60 intervals before it, median 10 days",
		"### at the cut, all customers: 31, of which 1 were not followed by a purchase; 96.8 % were within 14 days",
		"| shop's median | 30 | 0.0 | 0.0 | 100.0 % |  | 31 | 96.8 % |",
		"| model | 30 | 0.0 | 0.0 | 100.0 % | 100.0 % | 31 | 96.8 % |",
		"### at each purchase of the next 60 days: 30, of which 30 were not",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("there is no %q in\n%s", want, out.String())
		}
	}
}

func TestRunRefuses(t *testing.T) {
	for name, test := range map[string]struct{ text, cut, want string }{
		"nothing":      {"", "1997-02-01", "no purchase"},
		"three fields": {"1 19970101 1\n", "1997-02-01", "line 1: 3 fields"},
		"no day":       {"1 19970101 1 1\n1 1997-01-02 1 1\n", "1997-02-01", `line 2: the day "1997-01-02"`},
		"no cut":       {"1 19970101 1 1\n", "February", `-cuts "February" is not a day`},
		"too few":      {"1 19970101 1 1\n1 19970102 1 1\n", "1997-02-01", "only 1 intervals end before it"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "history")
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := run(&strings.Builder{}, path, []string{test.cut}); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v does not say %q", err, test.want)
			}
		})
	}
}

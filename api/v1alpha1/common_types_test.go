// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
)

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"90m": 90 * time.Minute, "36h": 36 * time.Hour, "30d": 720 * time.Hour, "2w": 336 * time.Hour,
		"1d12h": 36 * time.Hour, "15s": 15 * time.Second, "0d": 0, "-3d": -72 * time.Hour,
		"99999w": math.MaxInt64, "-99999w99999w": -math.MaxInt64, // for ever
	} {
		t.Run(in, func(t *testing.T) {
			if got, err := v1alpha1.ParseDuration(in); err != nil || got != want {
				t.Errorf("got %v, %v; want %v", got, err, want)
			}
		})
	}
	for name, in := range map[string]string{
		"empty": "", "sign only": "-", "no unit": "30", "no number": "d", "unknown unit": "3y", "blank": "3 d",
		"fraction": "1.5h", "sign inside": "1d-1h", "number too large": "99999999999s",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := v1alpha1.ParseDuration(in)
			if err == nil || !strings.Contains(err.Error(), "such as 90m or 30d") {
				t.Errorf("got %v, %v; want an error that says what to write", got, err)
			}
		})
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"90m", "1d12h", "-3d", "99999w99999w", "", "d", "1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		d, err := v1alpha1.ParseDuration(in)
		if err == nil && (d < 0) != strings.HasPrefix(in, "-") && d != 0 {
			t.Errorf("%q is %v", in, d)
		}
	})
}

func TestFraction(t *testing.T) {
	for in, want := range map[v1alpha1.Percentage]float64{"5%": 0.05, "0.1%": 0.001, "200%": 2} {
		if got := in.Fraction(); math.Abs(got-want) > 1e-12 {
			t.Errorf("%s is %v, want %v", in, got, want)
		}
	}
}

func TestLineMessageStaysAsWritten(t *testing.T) {
	const written = `{"type":"flex","altText":"…","contents":{"type":"bubble","size":1.50}}`
	var m v1alpha1.LineMessage
	if err := json.Unmarshal([]byte(written), &m); err != nil {
		t.Fatal(err)
	}
	copied := m.DeepCopy()
	m.Raw[2] = 'X'
	got, err := json.Marshal(copied)
	if err != nil || string(got) != written || copied.Type != "flex" {
		t.Errorf("got %s of type %q (%v), want %s", got, copied.Type, err, written)
	}
	if err := json.Unmarshal([]byte(`["flex"]`), &m); err == nil {
		t.Error("a list was read as a message object")
	}
}

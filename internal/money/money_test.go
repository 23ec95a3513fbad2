// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package money

import (
	"encoding/json"
	"math"
	"math/big"
	"testing"

	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestParse(t *testing.T) {
	tests := map[string]struct {
		want       Amount
		wantString string
	}{
		"10000":                 {10000 * Unit, "10000"},
		"39745.20":              {397452000, "39745.2"},
		"3.3":                   {33000, "3.3"},
		"0":                     {0, "0"},
		"-0":                    {0, "0"},
		"-0.5":                  {-5000, "-0.5"},
		"+1":                    {Unit, "1"},
		"0.0001":                {1, "0.0001"},
		"007":                   {7 * Unit, "7"},
		"1.500000":              {15000, "1.5"},
		"922337203685477.5807":  {math.MaxInt64, "922337203685477.5807"},
		"-922337203685477.5808": {math.MinInt64, "-922337203685477.5808"},
	}
	for text, tc := range tests {
		t.Run(text, func(t *testing.T) {
			got, err := Parse(text)
			if err != nil || got != tc.want {
				t.Fatalf("Parse(%q) = %d, %v, want %d", text, got, err, tc.want)
			}
			if got.String() != tc.wantString {
				t.Errorf("String() = %q, want %q", got, tc.wantString)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"", " 1", "1 ", "1,000", "1.", ".5", "1.2.3", "--1", "+-1", "-+1", "1e3", "¥100", "٣", "1_000", "NaN",
		"0.00001", "922337203685477.5808", "-922337203685477.5809", "99999999999999999999",
	} {
		t.Run(text, func(t *testing.T) {
			if got, err := Parse(text); err == nil {
				t.Errorf("Parse(%q) = %s, want an error", text, got)
			}
		})
	}
}

func TestFromIntOrString(t *testing.T) {
	whole, text, bad := intstr.FromInt32(10000), intstr.FromString("0.5"), intstr.FromString("5%")
	for name, tc := range map[string]struct {
		in      *intstr.IntOrString
		want    Amount
		wantErr bool
	}{
		"a number":    {in: &whole, want: 10000 * Unit},
		"a string":    {in: &text, want: 5000},
		"nothing":     {},
		"a percent":   {in: &bad, wantErr: true},
		"empty text":  {in: &intstr.IntOrString{Type: intstr.String}, wantErr: true},
		"most number": {in: &intstr.IntOrString{IntVal: math.MaxInt32}, want: math.MaxInt32 * Unit},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := FromIntOrString(tc.in)
			if got != tc.want || (err != nil) != tc.wantErr {
				t.Errorf("got %s, %v, want %s, error %t", got, err, tc.want, tc.wantErr)
			}
		})
	}
}

func TestMul(t *testing.T) {
	limit := big.NewInt(math.MaxInt64)
	values := []int64{0, 1, -1, 2, 33000, 10000, -7, 1 << 31, 1 << 62, math.MaxInt64, math.MinInt64, math.MinInt64 / 2}
	for _, a := range values {
		for _, n := range values {
			want := new(big.Int).Mul(big.NewInt(a), big.NewInt(n))
			fits := want.Cmp(limit) <= 0 && want.Cmp(big.NewInt(math.MinInt64)) >= 0
			got, err := Amount(a).Mul(n)
			if (err == nil) != fits || fits && int64(got) != want.Int64() {
				t.Errorf("%d × %d = %d, %v, want %s", a, n, got, err, want)
			}
		}
	}
}

func TestJSON(t *testing.T) {
	type row struct {
		Total Amount `json:"total"`
	}
	for name, tc := range map[string]struct {
		in, want string
		wantErr  bool
	}{
		"a string":        {in: `{"total":"39745.20"}`, want: `{"total":"39745.2"}`},
		"a number":        {in: `{"total":1980}`, want: `{"total":"1980"}`},
		"a fraction":      {in: `{"total":-0.1}`, want: `{"total":"-0.1"}`},
		"null":            {in: `{"total":null}`, want: `{"total":"0"}`},
		"an exponent":     {in: `{"total":1e3}`, wantErr: true},
		"a quote inside":  {in: `{"total":"\""}`, wantErr: true},
		"an empty string": {in: `{"total":""}`, wantErr: true},
		"an object":       {in: `{"total":{}}`, wantErr: true},
	} {
		t.Run(name, func(t *testing.T) {
			var r row
			err := json.Unmarshal([]byte(tc.in), &r)
			if (err != nil) != tc.wantErr {
				t.Fatalf("error %v, want one: %t", err, tc.wantErr)
			}
			if tc.wantErr {
				return
			}
			if got, _ := json.Marshal(r); string(got) != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"0", "-1.5", "922337203685477.5807", "1.00000", "+3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := Parse(text)
		if err != nil {
			return
		}
		want, ok := new(big.Rat).SetString(text)
		if !ok || want.Cmp(big.NewRat(int64(a), int64(Unit))) != 0 {
			t.Fatalf("Parse(%q) = %d, want %s", text, a, want)
		}
		if again, err := Parse(a.String()); err != nil || again != a {
			t.Errorf("%q came back as %s, %v", a, again, err)
		}
	})
}

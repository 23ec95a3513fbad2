// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package money holds amounts exactly: the same to the last digit in Go, PostgreSQL and SQLite.
// An amount does not know its currency.
package money

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/intstr"
)

// Unit is one of the currency's units (a yen, a dollar) as an Amount.
const Unit Amount = 10_000

const fractionDigits = 4

// Amount is money in 1/10,000 of the currency's unit. The database holds it as a BIGINT.
type Amount int64

var errRange = errors.New("amount is too large: the limit is 922337203685477.5807")

// Parse reads a plain decimal such as "10000", "39745.2" or "-0.5": an optional sign, digits, and
// at most four of them after the point. Nothing is rounded; what does not fit is refused.
func Parse(text string) (Amount, error) {
	digits, negative := strings.CutPrefix(text, "-")
	if !negative {
		digits = strings.TrimPrefix(text, "+")
	}
	whole, fraction, point := strings.Cut(digits, ".")
	if !allDigits(whole) || point && !allDigits(fraction) {
		return 0, fmt.Errorf("amount %q is not a decimal number: write it like 10000 or 39745.2", shorten(text))
	}
	if len(fraction) > fractionDigits {
		// "1.50000" is exact all the same.
		if strings.Trim(fraction[fractionDigits:], "0") != "" {
			return 0, fmt.Errorf("amount %q has more than %d digits after the point", shorten(text), fractionDigits)
		}
		fraction = fraction[:fractionDigits]
	}
	scaled := whole + fraction + "0000"[len(fraction):]
	magnitude, err := strconv.ParseUint(scaled, 10, 64)
	if err != nil {
		return 0, errRange
	}
	if negative {
		if magnitude > 1<<63 {
			return 0, errRange
		}
		return Amount(-magnitude), nil
	}
	if magnitude > math.MaxInt64 {
		return 0, errRange
	}
	return Amount(magnitude), nil
}

// FromIntOrString reads a field that may be written 10000 or "0.5". Nil is zero.
func FromIntOrString(v *intstr.IntOrString) (Amount, error) {
	if v == nil {
		return 0, nil
	}
	if v.Type == intstr.Int {
		return Amount(v.IntVal) * Unit, nil
	}
	return Parse(v.StrVal)
}

// FromInt is n of the currency's units.
func FromInt(n int64) (Amount, error) { return Unit.Mul(n) }

// String is the shortest decimal: "39745.2", "10000", "-0.5".
func (a Amount) String() string {
	whole, fraction := a.parts()
	sign := ""
	if a < 0 {
		sign = "-"
	}
	out := sign + strconv.FormatUint(whole, 10)
	if fraction == 0 {
		return out
	}
	return out + "." + strings.TrimRight(fmt.Sprintf("%04d", fraction), "0")
}

// Mul is a × n, or an error where that is too large to hold.
func (a Amount) Mul(n int64) (Amount, error) {
	high, low := bits.Mul64(magnitude(int64(a)), magnitude(n))
	negative := (a < 0) != (n < 0)
	switch {
	case high != 0, low > 1<<63, !negative && low == 1<<63:
		return 0, errRange
	case negative:
		return Amount(-low), nil
	}
	return Amount(low), nil
}

// Float is for what is measured and compared, such as a rate or a metric; sums stay in Amount.
func (a Amount) Float() float64 { return float64(a) / float64(Unit) }

// MarshalText writes String.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what Parse does.
func (a *Amount) UnmarshalText(text []byte) error {
	v, err := Parse(string(text))
	if err != nil {
		return err
	}
	*a = v
	return nil
}

// MarshalJSON writes a string, since a JSON number would pass through a float on its way.
func (a Amount) MarshalJSON() ([]byte, error) { return []byte(`"` + a.String() + `"`), nil }

// UnmarshalJSON reads a string or a number without an exponent; null leaves the amount alone.
func (a *Amount) UnmarshalJSON(data []byte) error {
	text := string(data)
	if text == "null" {
		return nil
	}
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		text = text[1 : len(text)-1]
	}
	return a.UnmarshalText([]byte(text))
}

func (a Amount) parts() (whole, fraction uint64) {
	m := magnitude(int64(a))
	return m / uint64(Unit), m % uint64(Unit)
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

func allDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

// shorten keeps a whole pasted file out of an error message.
func shorten(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestNormalizeAddress(t *testing.T) {
	for name, test := range map[string]struct{ channel, in, want, wantErr string }{
		"email":                 {ChannelEmail, "Ann.Lee+x@Shop.Example", "ann.lee+x@shop.example", ""},
		"email beyond ASCII":    {ChannelEmail, "蛙@例え.jp", "蛙@例え.jp", ""},
		"no at":                 {ChannelEmail, "ann", "", "is not an email address"},
		"two ats":               {ChannelEmail, "a@b@c", "", "is not an email address"},
		"a name":                {ChannelEmail, "Ann <ann@b.example>", "", "write the address alone"},
		"a line break":          {ChannelEmail, "ann@b.example\nBcc:x", "", "write the address alone"},
		"dots":                  {ChannelEmail, "ann@b..example", "", "a dot too many"},
		"long":                  {ChannelEmail, strings.Repeat("a", 65) + "@b.example", "", "too long"},
		"phone":                 {ChannelSMS, "+81 (90) 1234-5678", "+819012345678", ""},
		"phone without country": {ChannelSMS, "090-1234-5678", "", "does not say its country"},
		"phone with + and 0":    {ChannelSMS, "+0901234567", "", "does not say its country"},
		"phone with letters":    {ChannelSMS, "+81 CALL ME", "", "is not a phone number"},
		"short phone":           {ChannelSMS, "+81123", "", "has 5 digits"},
		"LINE":                  {ChannelLINE, "U0123", "U0123", ""},
		"LINE, empty":           {ChannelLINE, "", "", "is empty"},
		"fax":                   {"fax", "1", "", "no kind of channel"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := NormalizeAddress(test.channel, test.in)
			if got != test.want && test.wantErr == "" || (err == nil) != (test.wantErr == "") || err != nil && !strings.Contains(err.Error(), test.wantErr) {
				t.Errorf("got %q, %v; want %q, %q", got, err, test.want, test.wantErr)
			}
		})
	}
}

func TestCanonicalJSON(t *testing.T) {
	for in, want := range map[string]string{
		` {"b": 1.50, "a": [1e2, -0.0, "x"], "c": {"é": null}} `: `{"a":[100,0.0,"x"],"b":1.50,"c":{"é":null}}`,
		`"<&>"`: `"<&>"`, `"\u3042"`: `"あ"`, `1.5e-3`: `0.0015`, `-12345678901234567890`: `-12345678901234567890`, `"\ud800"`: "\"\ufffd\"",
		"\"a\u2028b\"": `"a\u2028b"`, `true`: `true`,
	} {
		got, err := canonicalJSON([]byte(in))
		if err != nil || string(got) != want {
			t.Errorf("%s becomes %s, %v; want %s", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		``: "too early", `{`: "too early", `{"a":1}x`: "more than one", `{"a"}`: "at byte", `"\u0000"`: "NUL", `{"\u0000":1}`: "NUL", `1e400`: "too large",
		strings.Repeat("[", 40) + strings.Repeat("]", 40): "deeper",
	} {
		if got, err := canonicalJSON([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s becomes %s, %v; want %q", in, got, err, want)
		}
	}
}

// FuzzCanonicalJSON holds that the form is one: it is its own form, and means what was written.
func FuzzCanonicalJSON(f *testing.F) {
	for _, seed := range []string{`{"a":[1e2,-0,"x\u2028"],"b":{"c":null}}`, `"plain"`, `"\ud83d\udc38"`, `1.0e-9`, "\"\xff\""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		once, err := canonicalJSON(in)
		if err != nil {
			return
		}
		twice, err := canonicalJSON(once)
		if err != nil || string(twice) != string(once) {
			t.Fatalf("%q becomes %q and then %q, %v", in, once, twice, err)
		}
		var a, b any
		if err := json.Unmarshal(in, &a); err != nil {
			t.Fatalf("%q is accepted: %v", in, err)
		}
		if err := json.Unmarshal(once, &b); err != nil || !reflect.DeepEqual(a, b) {
			t.Fatalf("%q means %v and %q means %v, %v", in, a, once, b, err)
		}
	})
}

func TestValidate(t *testing.T) {
	day := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	long := strings.Repeat("x", 256)
	for name, test := range map[string]struct {
		fact  interface{ Validate() error }
		field string // empty: accepted
	}{
		"customer":                 {&Customer{ID: "c", Email: Value(""), Consents: map[string]string{"email": "granted"}}, ""},
		"customer without an id":   {&Customer{}, "id"},
		"a long id":                {&Customer{ID: long}, "id"},
		"a consent to fax":         {&Customer{ID: "c", Consents: map[string]string{"fax": "granted"}}, "consent_fax"},
		"a consent of maybe":       {&Customer{ID: "c", Consents: map[string]string{"sms": "maybe"}}, "consent_sms"},
		"order":                    {&Order{ID: "o", CustomerID: "c", PlacedAt: day, Status: Value("")}, ""},
		"order at no time":         {&Order{ID: "o", CustomerID: "c"}, "placed_at"},
		"order in milliseconds":    {&Order{ID: "o", CustomerID: "c", PlacedAt: time.Unix(day.UnixMilli(), 0)}, "placed_at"},
		"order of too much":        {&Order{ID: "o", CustomerID: "c", PlacedAt: day, Total: maxTotal + 1}, "total"},
		"order of a bad item":      {&Order{ID: "o", CustomerID: "c", PlacedAt: day, Items: []Item{{}, {Category: Value(long)}}}, "items"},
		"product":                  {&Product{ID: "p", Name: Value("x")}, ""},
		"product, name not UTF-8":  {&Product{ID: "p", Name: Value("\xff")}, "name"},
		"event":                    {&Event{ID: "e", CustomerID: "c", Name: "n", OccurredAt: day}, ""},
		"event with an array":      {&Event{ID: "e", CustomerID: "c", Name: "n", OccurredAt: day, Properties: json.RawMessage("[]")}, "properties"},
		"event without a name":     {&Event{ID: "e", CustomerID: "c", OccurredAt: day}, "name"},
		"subscription":             {&Subscription{ID: "s", CustomerID: "c", Status: "paused"}, ""},
		"subscription, no status":  {&Subscription{ID: "s", CustomerID: "c", Status: "on"}, "status"},
		"subscription, a bad time": {&Subscription{ID: "s", CustomerID: "c", Status: "Active", NextDelivery: Value(time.Unix(1e12, 0))}, "next_delivery_at"},
		"coupon":                   {&Coupon{Pool: "p", Code: "c"}, ""},
		"coupon without a code":    {&Coupon{Pool: "p"}, "code"},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.fact.Validate()
			if test.field == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var field *FieldError
			if ok := asField(err, &field); !ok || field.Field != test.field || field.Reason == "" {
				t.Errorf("got %v, want an error about %s", err, test.field)
			}
		})
	}
}

func asField(err error, to **FieldError) bool {
	field, ok := err.(*FieldError) //nolint:errorlint // Validate returns it itself
	*to = field
	return ok
}

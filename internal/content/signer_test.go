// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

func TestTokens(t *testing.T) {
	s := testSigner(t)
	for name, tc := range map[string]struct {
		kind   Kind
		claims Claims
	}{
		"a click":       {Click, Claims{"shop", testMessage, 3, "https://shop.example/?a=1&b=花"}},
		"an open":       {Open, Claims{Namespace: "shop", Message: testMessage}},
		"unsubscribing": {Unsubscribe, Claims{Namespace: strings.Repeat("n", 63), Message: testMessage}},
		"preferences":   {Preferences, Claims{Namespace: "", Message: testMessage}},
		"a long click":  {Click, Claims{strings.Repeat("n", 63), testMessage, 1 << 30, "http://" + strings.Repeat("a", maxTarget-7)}},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := s.Sign(tc.kind, tc.claims)
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.Verify(tc.kind, token)
			if err != nil || got != tc.claims {
				t.Errorf("got %+v, %v, want %+v", got, err, tc.claims)
			}
			for _, other := range []Kind{Click, Open, Unsubscribe, Preferences} {
				if _, err := s.Verify(other, token); other != tc.kind && !errors.Is(err, ErrToken) {
					t.Errorf("it is valid as %c too: %v", other, err)
				}
			}
			// Any single change breaks it.
			raw, _ := base64.RawURLEncoding.DecodeString(token)
			for i := range raw {
				changed := append([]byte(nil), raw...)
				changed[i] ^= 1
				if _, err := s.Verify(tc.kind, base64.RawURLEncoding.EncodeToString(changed)); !errors.Is(err, ErrToken) {
					t.Fatalf("with byte %d changed it is valid: %v", i, err)
				}
			}
			for _, text := range []string{"", token[:len(token)-1], token + "A", token + "=", "%" + token} {
				if _, err := s.Verify(tc.kind, text); !errors.Is(err, ErrToken) {
					t.Errorf("%q is valid: %v", text, err)
				}
			}
		})
	}
}

func TestSignRefuses(t *testing.T) {
	s := testSigner(t)
	for name, c := range map[string]Claims{
		"a long namespace": {Namespace: strings.Repeat("n", 64)},
		"a long address":   {URL: "https://" + strings.Repeat("a", maxTarget)},
		"a negative index": {Index: -1},
	} {
		if token, err := s.Sign(Click, c); err == nil {
			t.Errorf("%s was signed as %s", name, token)
		}
	}
}

func TestAClickLeadsToHTTPOnly(t *testing.T) {
	s := testSigner(t)
	token, err := s.Sign(Click, Claims{Namespace: "shop", Message: testMessage, URL: "javascript:alert(1)"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Verify(Click, token); !errors.Is(err, ErrToken) {
		t.Errorf("a link to a script is valid: %v", err)
	}
}

func TestKeysAreRotated(t *testing.T) {
	old := testSigner(t)
	token, err := old.Sign(Open, Claims{Namespace: "shop", Message: testMessage})
	if err != nil {
		t.Fatal(err)
	}
	both, err := NewSigner("https://k.example/", []byte("another key of 32 bytes, or more"), testKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := both.Verify(Open, token); err != nil {
		t.Errorf("the former key's links are broken: %v", err)
	}
	newer, _ := both.Sign(Open, Claims{Namespace: "shop", Message: testMessage})
	if _, err := old.Verify(Open, newer); !errors.Is(err, ErrToken) {
		t.Error("the first key does not sign")
	}
	if both.PublicURL() != "https://k.example" {
		t.Errorf("public URL %s", both.PublicURL())
	}
}

func TestNewSignerRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		url  string
		keys [][]byte
	}{
		"no key":          {"https://k.example", nil},
		"a short key":     {"https://k.example", [][]byte{[]byte("short")}},
		"no scheme":       {"k.example", [][]byte{testKey}},
		"another scheme":  {"ftp://k.example", [][]byte{testKey}},
		"a query":         {"https://k.example/?a=1", [][]byte{testKey}},
		"nothing":         {"", [][]byte{testKey}},
		"no host":         {"https:///x", [][]byte{testKey}},
		"a broken escape": {"https://k.example/%zz", [][]byte{testKey}},
	} {
		if s, err := NewSigner(tc.url, tc.keys...); err == nil {
			t.Errorf("%s was taken: %v", name, s)
		}
	}
}

func FuzzVerify(f *testing.F) {
	s := testSigner(f)
	for _, kind := range []Kind{Click, Open, Unsubscribe, Preferences} {
		token, err := s.Sign(kind, Claims{Namespace: "shop", Message: testMessage, URL: "https://shop.example/"})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(kind), token)
	}
	f.Fuzz(func(t *testing.T, kind byte, token string) {
		c, err := s.Verify(Kind(kind), token)
		if err != nil {
			if !errors.Is(err, ErrToken) || c != (Claims{}) {
				t.Fatalf("got %+v, %v", c, err)
			}
			return
		}
		again, err := s.Sign(Kind(kind), c)
		if err != nil || again != token {
			t.Errorf("%q is valid, and would be signed as %q, %v", token, again, err)
		}
	})
}

// What has the right sum may still not be what is expected, for instance when a key is shared with
// another version.
func FuzzPayload(f *testing.F) {
	f.Add(byte(Click), []byte{1, 0})
	f.Add(byte(Open), []byte{1, 200, 1})
	f.Fuzz(func(t *testing.T, kind byte, payload []byte) {
		c, err := parsePayload(Kind(kind), payload)
		if err == nil && (len(c.Namespace) > 255 || c.Index < 0 || Kind(kind) == Click && !isHTTP(c.URL)) {
			t.Errorf("got %+v", c)
		}
	})
}

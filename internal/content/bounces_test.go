// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestBounceToken(t *testing.T) {
	old, current := []byte("an old key of 32 bytes .........."), []byte("0123456789abcdef0123456789abcdef")
	signer := func(keys ...[]byte) *Signer {
		s, err := NewSigner("https://links.shop.example", keys...)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	now, message := signer(current, old), uuid.New()
	token := now.BounceToken(message, "Anna@Customer.example")
	if len(token) != BounceTokenSize || token != strings.ToLower(token) || len("bounces+")+len(token) > 64 {
		t.Errorf("%q is no local part", token)
	}
	forged := []byte(token)
	forged[len(forged)-1] ^= 1
	link, err := now.Sign(Open, Claims{Namespace: "shop", Message: message})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		token string
		ok    bool
	}{
		"ours":              {token, true},
		"in capitals":       {strings.ToUpper(token), true},
		"of the old key":    {signer(old).BounceToken(message, "anna@customer.example"), true},
		"of another key":    {signer([]byte("another key of 32 bytes .........")).BounceToken(message, "anna@customer.example"), false},
		"changed":           {string(forged), false},
		"of another":        {now.BounceToken(uuid.New(), "x@y.example")[:20] + token[20:], false},
		"the bare key":      {message.String(), false},
		"too short":         {token[:40], false},
		"too long":          {token + "a", false},
		"not base32":        {strings.Repeat("0", BounceTokenSize), false},
		"a link's":          {link, false},
		"nothing but zeros": {strings.Repeat("a", BounceTokenSize), false},
	} {
		claims, err := now.VerifyBounce(tt.token)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil {
			continue
		}
		if claims.Message != message {
			t.Errorf("%s: message %s, want %s", name, claims.Message, message)
		}
		if !claims.SentTo("anna@customer.EXAMPLE") || claims.SentTo("bert@customer.example") || claims.SentTo("") {
			t.Errorf("%s: does not know whom it was sent to", name)
		}
	}
	if (BounceClaims{}).SentTo("anna@customer.example") {
		t.Error("no claims were sent to somebody")
	}
}

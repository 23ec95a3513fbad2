// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"errors"

	lru "github.com/hashicorp/golang-lru/v2"
)

var errBadKey = errors.New("not a public key for ECDSA")

// usedTokensKept is more calls than Mailgun makes while a token is valid, for a shop of usual size.
const usedTokensKept = 100_000

// usedTokens are those that calls have been made with.
type usedTokens struct{ seen *lru.Cache[string, struct{}] }

func newUsedTokens() (usedTokens, error) {
	seen, err := lru.New[string, struct{}](usedTokensKept)
	return usedTokens{seen}, err
}

// claim is false for a token that is used already.
func (u usedTokens) claim(token string) bool {
	seen, _ := u.seen.ContainsOrAdd(token, struct{}{})
	return !seen
}

// release gives back a token whose call could not be worked off.
func (u usedTokens) release(token string) { u.seen.Remove(token) }

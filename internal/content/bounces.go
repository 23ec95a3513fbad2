// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"crypto/hmac"
	"encoding/base32"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/google/uuid"
)

const (
	bounceTagSize = 4
	bounceMACSize = 10
	// BounceTokenSize is the length of a bounce token. It stands in the local part of an address, of
	// which there are 64 octets, behind a name and a plus sign.
	BounceTokenSize = (16 + bounceTagSize + bounceMACSize) * 8 / 5
)

// bounceKind keeps bounce tokens apart from links.
const bounceKind Kind = 'b'

// Servers may change an address to small letters, so the token has no others.
var bounceEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// BounceClaims is what a bounce token says.
type BounceClaims struct {
	Message uuid.UUID
	tag     [bounceTagSize]byte
	signer  *Signer
}

// BounceToken names a message and the address it was sent to in the address that its bounces go to.
func (s *Signer) BounceToken(message uuid.UUID, to string) string {
	tag := addressTag(s.keys[0], to)
	b := slices.Concat(message[:], tag[:])
	return strings.ToLower(bounceEncoding.EncodeToString(append(b, mac(s.keys[0], bounceKind, b)[:bounceMACSize]...)))
}

// VerifyBounce reads a bounce token that this installation has signed; anything else is ErrToken.
func (s *Signer) VerifyBounce(token string) (BounceClaims, error) {
	if len(token) != BounceTokenSize {
		return BounceClaims{}, ErrToken
	}
	raw, err := bounceEncoding.DecodeString(strings.ToUpper(token))
	if err != nil {
		return BounceClaims{}, ErrToken
	}
	payload, sum := raw[:len(raw)-bounceMACSize], raw[len(raw)-bounceMACSize:]
	valid := false
	for _, key := range s.keys {
		valid = hmac.Equal(sum, mac(key, bounceKind, payload)[:bounceMACSize]) || valid
	}
	if !valid {
		return BounceClaims{}, ErrToken
	}
	c := BounceClaims{signer: s}
	copy(c.tag[:], payload[copy(c.Message[:], payload):])
	return c, nil
}

// SentTo says whether the message went to an address.
func (c BounceClaims) SentTo(address string) bool {
	if c.signer == nil || address == "" {
		return false
	}
	same := false
	for _, key := range c.signer.keys {
		tag := addressTag(key, address)
		same = hmac.Equal(tag[:], c.tag[:]) || same
	}
	return same
}

// AddressTag stands for an address where the address itself must not be written.
func (s *Signer) AddressTag(address string) string {
	tag := addressTag(s.keys[0], address)
	return hex.EncodeToString(tag[:])
}

func addressTag(key signingKey, address string) (tag [bounceTagSize]byte) {
	sum := key.sum([]byte("kaeru bounce address v1 "), []byte(strings.ToLower(strings.TrimSpace(address))))
	copy(tag[:], sum[:])
	return tag
}

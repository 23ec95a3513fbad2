// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"net/url"
	"strings"
	"sync"

	"github.com/google/uuid"
)

// Kind is what a token is for. A token of one kind is not valid as another.
type Kind byte

// The kinds are also the path below the public URL that a token stands in.
const (
	Click       Kind = 'l'
	Open        Kind = 'o'
	Unsubscribe Kind = 'u'
	Preferences Kind = 'p'
)

// shortPath is where short links stand: they are looked up in the database, not verified.
const shortPath = "s"

const (
	tokenVersion = 1
	macSize      = 16
	minKeySize   = 16
	maxNamespace = 63
	// maxTarget is the longest address that is tracked; a longer one is left as it is.
	maxTarget = 2000
	// maxToken is that in base64, with what else a token holds.
	maxToken = (1+maxNamespace+16+binary.MaxVarintLen64+maxTarget+macSize)*4/3 + 8
)

// Claims is what a token says.
type Claims struct {
	Namespace string
	Message   uuid.UUID
	// Index is the link's place in its message, from 0. Click only.
	Index int
	// URL is where the link leads. Click only. It is in the token, so that a message needs no row
	// a link; it is signed, so that nobody can have the shop's address lead elsewhere.
	URL string
}

// ErrToken says that a token was not made by this installation, or not for this use.
var ErrToken = errors.New("the link is not valid")

// Signer makes and verifies the tokens of tracked links.
type Signer struct {
	publicURL string
	keys      []signingKey
}

// signingKey keeps hashes that have taken in the key already, which is most of the work of signing
// something short.
type signingKey struct {
	hashes *sync.Pool
}

func newSigningKey(key []byte) signingKey {
	key = bytes.Clone(key)
	return signingKey{&sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

func (k signingKey) sum(parts ...[]byte) [sha256.Size]byte {
	h := k.hashes.Get().(hash.Hash)
	defer k.hashes.Put(h)
	h.Reset()
	for _, p := range parts {
		h.Write(p)
	}
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	return sum
}

// NewSigner makes a signer for links below publicURL. The first key signs, all of them verify, so
// that a key can be changed without breaking the links that are out.
func NewSigner(publicURL string, keys ...[]byte) (*Signer, error) {
	u, err := url.Parse(publicURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("public URL %q is not valid: write it like https://links.shop.example", publicURL)
	}
	if len(keys) == 0 {
		return nil, errors.New("signing links needs a key")
	}
	s := &Signer{publicURL: strings.TrimRight(publicURL, "/")}
	for _, k := range keys {
		if len(k) < minKeySize {
			return nil, fmt.Errorf("signing key of %d bytes is too short: use %d or more", len(k), minKeySize)
		}
		s.keys = append(s.keys, newSigningKey(k))
	}
	return s, nil
}

// PublicURL is the address that links stand below, without a slash at its end.
func (s *Signer) PublicURL() string { return s.publicURL }

// Sign makes a token.
func (s *Signer) Sign(kind Kind, c Claims) (string, error) {
	if len(c.Namespace) > maxNamespace {
		return "", fmt.Errorf("namespace of %d bytes is too long for a link", len(c.Namespace))
	}
	if len(c.URL) > maxTarget {
		return "", fmt.Errorf("address of %d bytes is too long for a link", len(c.URL))
	}
	if c.Index < 0 {
		return "", fmt.Errorf("link index %d is negative", c.Index)
	}
	b := make([]byte, 0, 2+len(c.Namespace)+16+binary.MaxVarintLen64+len(c.URL)+macSize)
	b = append(b, tokenVersion, byte(len(c.Namespace)))
	b = append(b, c.Namespace...)
	b = append(b, c.Message[:]...)
	if kind == Click {
		b = binary.AppendUvarint(b, uint64(c.Index))
		b = append(b, c.URL...)
	}
	return base64.RawURLEncoding.EncodeToString(append(b, mac(s.keys[0], kind, b)...)), nil
}

// Verify reads a token of kind that this installation has signed; anything else is ErrToken.
func (s *Signer) Verify(kind Kind, token string) (Claims, error) {
	if len(token) > maxToken {
		return Claims{}, ErrToken
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) < macSize {
		return Claims{}, ErrToken
	}
	payload, sum := raw[:len(raw)-macSize], raw[len(raw)-macSize:]
	valid := false
	for _, key := range s.keys {
		// Every key is tried, whatever the ones before it said, so that time tells nothing.
		valid = hmac.Equal(sum, mac(key, kind, payload)) || valid
	}
	if !valid {
		return Claims{}, ErrToken
	}
	return parsePayload(kind, payload)
}

func parsePayload(kind Kind, b []byte) (Claims, error) {
	var c Claims
	if len(b) < 2 || b[0] != tokenVersion || len(b) < 2+int(b[1])+len(c.Message) {
		return Claims{}, ErrToken
	}
	n := 2 + int(b[1])
	c.Namespace = string(b[2:n])
	n += copy(c.Message[:], b[n:])
	rest := b[n:]
	if kind != Click {
		if len(rest) != 0 {
			return Claims{}, ErrToken
		}
		return c, nil
	}
	index, size := binary.Uvarint(rest)
	if size <= 0 || index > 1<<31 {
		return Claims{}, ErrToken
	}
	c.Index, c.URL = int(index), string(rest[size:])
	if !isHTTP(c.URL) {
		return Claims{}, ErrToken
	}
	return c, nil
}

// mac keeps the kinds apart: the same payload has another sum as another kind.
func mac(key signingKey, kind Kind, payload []byte) []byte {
	sum := key.sum([]byte("kaeru link v1 "), []byte{byte(kind), 0}, payload)
	return sum[:macSize]
}

func (s *Signer) link(kind Kind, c Claims) (string, error) {
	token, err := s.Sign(kind, c)
	if err != nil {
		return "", err
	}
	return s.publicURL + "/" + string(kind) + "/" + token, nil
}

// shortCode names a short link. It is made of the message and the target, so that a message
// rendered again, after a crash, holds the same code and its rows the same keys; it is keyed, so
// that codes cannot be guessed.
func (s *Signer) shortCode(namespace string, message uuid.UUID, kind Kind, target string) string {
	sum := s.keys[0].sum([]byte("kaeru short link v1 "), []byte{byte(kind), byte(len(namespace))}, []byte(namespace),
		message[:], []byte(target))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

func isHTTP(address string) bool {
	return hasPrefixFold(address, "https://") || hasPrefixFold(address, "http://")
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/sandbox/fault"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	audience      = "https://api.line.me/"
	// longestAssertion is how long a JWT may hold, and longestToken a token of version 2.1.
	longestAssertion = 30 * time.Minute
	longestToken     = 30 * 24 * time.Hour
	statelessToken   = 15 * time.Minute
	// mostTokens is how many of version 2.1 may be valid at a time.
	mostTokens = 30
)

// tokens are those that were issued.
type tokens struct {
	mu     sync.Mutex
	issued map[string]issued
}

type issued struct {
	channel *channel
	until   time.Time
	counted bool // among the thirty
}

// find gives the channel of a token that is valid.
func (t *tokens) find(token string) (*channel, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, ok := t.issued[token]
	return i.channel, ok && time.Now().Before(i.until)
}

func (t *tokens) issue(c *channel, life time.Duration, counted bool) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, now := 0, time.Now()
	for token, i := range t.issued {
		if now.After(i.until) {
			delete(t.issued, token)
		} else if i.channel == c && i.counted {
			n++
		}
	}
	if counted && n >= mostTokens {
		return "", fmt.Errorf("%d tokens are valid already", n)
	}
	if t.issued == nil {
		t.issued = map[string]issued{}
	}
	token := "issued-" + uuid.NewString()
	t.issued[token] = issued{c, now.Add(life), counted}
	return token, nil
}

func (t *tokens) revoke(c *channel, token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.issued[token].channel == c {
		delete(t.issued, token)
	}
}

// tokenRoutes are the endpoints that issue tokens. Their errors have OAuth's form.
func (s *Server) tokenRoutes(mux *http.ServeMux) {
	for path, handle := range map[string]http.HandlerFunc{
		"POST /oauth2/v3/token":    s.stateless,
		"POST /oauth2/v2.1/token":  s.byAssertion,
		"POST /oauth2/v2.1/revoke": s.revoke,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
			s.faults.Serve(w, r, fault.LINE, "token", "", handle, func(w http.ResponseWriter, e fault.Effect) {
				denied(w, e.Status, "server_error", e.Message)
			})
		})
	}
}

func denied(w http.ResponseWriter, status int, code, why string) {
	answer(w, status, map[string]string{"error": code, "error_description": why})
}

func (s *Server) stateless(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("grant_type") != "client_credentials" {
		denied(w, http.StatusBadRequest, "unsupported_grant_type", "grant_type must be client_credentials")
		return
	}
	var c *channel
	var err error
	if r.PostFormValue("client_assertion") != "" {
		c, _, err = s.asserted(r)
	} else if c = s.byID(r.PostFormValue("client_id")); c == nil || c.Secret == "" || c.Secret != r.PostFormValue("client_secret") {
		err = errors.New("invalid client_id or client_secret")
	}
	if err != nil {
		denied(w, http.StatusBadRequest, "invalid_client", err.Error())
		return
	}
	token, _ := s.tokens.issue(c, statelessToken, false) // these are not counted
	answer(w, http.StatusOK, map[string]any{"token_type": "Bearer", "access_token": token, "expires_in": int(statelessToken.Seconds())})
}

func (s *Server) byAssertion(w http.ResponseWriter, r *http.Request) {
	if r.PostFormValue("grant_type") != "client_credentials" {
		denied(w, http.StatusBadRequest, "unsupported_grant_type", "grant_type must be client_credentials")
		return
	}
	c, life, err := s.asserted(r)
	if err != nil {
		denied(w, http.StatusBadRequest, "invalid_client", err.Error())
		return
	}
	if life <= 0 || life > longestToken {
		denied(w, http.StatusBadRequest, "invalid_request", "token_exp must be 1 to 2592000")
		return
	}
	token, err := s.tokens.issue(c, life, true)
	if err != nil {
		denied(w, http.StatusBadRequest, "invalid_request", err.Error())
		return
	}
	answer(w, http.StatusOK, map[string]any{"token_type": "Bearer", "access_token": token, "expires_in": int(life.Seconds()), "key_id": uuid.NewString()})
}

func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	c := s.byID(r.PostFormValue("client_id"))
	if c == nil || c.Secret == "" || c.Secret != r.PostFormValue("client_secret") {
		denied(w, http.StatusBadRequest, "invalid_client", "invalid client_id or client_secret")
		return
	}
	s.tokens.revoke(c, r.PostFormValue("access_token"))
	w.WriteHeader(http.StatusOK)
}

func (s *Server) byID(id string) *channel {
	for _, c := range s.channels {
		if c.ChannelID == id && id != "" {
			return c
		}
	}
	return nil
}

// asserted gives the channel that a JWT is about, and how long the token is to hold.
func (s *Server) asserted(r *http.Request) (*channel, time.Duration, error) {
	if r.PostFormValue("client_assertion_type") != assertionType {
		return nil, 0, errors.New("client_assertion_type must be " + assertionType)
	}
	token, err := jwt.ParseSigned(r.PostFormValue("client_assertion"), []jose.SignatureAlgorithm{jose.RS256})
	if err != nil || len(token.Headers) != 1 {
		return nil, 0, errors.New("client_assertion is not a JWT signed with RS256")
	}
	var unsafe jwt.Claims
	if err := token.UnsafeClaimsWithoutVerification(&unsafe); err != nil {
		return nil, 0, errors.New("client_assertion has no claims")
	}
	c := s.byID(unsafe.Issuer)
	if c == nil {
		return nil, 0, errors.New("iss is no channel")
	}
	raw, ok := c.PublicKeys[token.Headers[0].KeyID]
	var key jose.JSONWebKey
	if !ok || json.Unmarshal(raw, &key) != nil {
		return nil, 0, errors.New("kid is no key of the channel's")
	}
	var claims struct {
		jwt.Claims
		TokenExp int64 `json:"token_exp"`
	}
	if err := token.Claims(key.Key, &claims); err != nil {
		return nil, 0, errors.New("the signature is not valid")
	}
	now := time.Now()
	switch {
	case claims.Subject != claims.Issuer || !slices.Equal(claims.Audience, jwt.Audience{audience}):
		return nil, 0, errors.New("sub must be the channel and aud " + audience)
	case claims.Expiry == nil || now.After(claims.Expiry.Time()):
		return nil, 0, errors.New("exp is over")
	case claims.Expiry.Time().After(now.Add(longestAssertion + time.Minute)):
		return nil, 0, errors.New("exp is more than 30 minutes away")
	}
	return c, time.Duration(claims.TokenExp) * time.Second, nil
}

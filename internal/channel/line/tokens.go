// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
	"k8s.io/utils/clock"
)

const (
	// issueTimeout bounds a request for a token.
	issueTimeout = 10 * time.Second
	// issueAgain is when a token is asked for again that could not be had, while the old one holds.
	issueAgain = 30 * time.Second
)

// issuer gets tokens from LINE.
type issuer interface {
	// issue gives a new token and how long it holds.
	issue(ctx context.Context) (token string, life time.Duration, err error)
	// revoke ends a token that is not needed any more.
	revoke(ctx context.Context, token string) error
	// secrets are what must not be told.
	secrets() []string
}

// tokens gives the token that requests are made with. It is renewed before it ends, at a moment that differs from
// one process to the next, and by one request at a time.
type tokens struct {
	issuer issuer // nil where the token is for ever
	clock  clock.PassiveClock
	flight singleflight.Group

	mu               sync.Mutex
	current          string
	renewAt, expires time.Time
}

// get is a token that holds.
func (t *tokens) get(ctx context.Context) (string, error) {
	t.mu.Lock()
	current, renewAt, expires := t.current, t.renewAt, t.expires
	t.mu.Unlock()
	now := t.clock.Now()
	if t.issuer == nil || now.Before(renewAt) {
		return current, nil
	}
	renewed := t.flight.DoChan("", func() (any, error) { return t.renew(current) })
	if now.Before(expires) {
		return current, nil // the next request has the new one
	}
	select {
	case r := <-renewed:
		token, _ := r.Val.(string)
		return token, r.Err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// refused is another token than one that LINE did not take. It is not ok where there is none.
func (t *tokens) refused(ctx context.Context, token string) (string, bool) {
	if t.issuer == nil {
		return "", false
	}
	t.mu.Lock()
	if t.current == token {
		t.renewAt, t.expires = time.Time{}, time.Time{}
	}
	t.mu.Unlock()
	other, err := t.get(ctx)
	return other, err == nil && other != token
}

// renew asks for a token, unless that has happened since old was the one.
func (t *tokens) renew(old string) (string, error) {
	t.mu.Lock()
	if t.current != old {
		defer t.mu.Unlock()
		return t.current, nil
	}
	t.mu.Unlock()
	// Not a message's context: others wait for it too.
	ctx, cancel := context.WithTimeout(context.Background(), issueTimeout)
	defer cancel()
	token, life, err := t.issuer.issue(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	if err != nil {
		if now.Before(t.expires) {
			t.renewAt = now.Add(issueAgain)
		}
		return "", err
	}
	t.current, t.expires = token, now.Add(life)
	t.renewAt = now.Add(life*3/4 - rand.N(life/10+1))
	return token, nil
}

// end revokes the token, as far as it can be.
func (t *tokens) end() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.issuer == nil || t.current == "" || t.clock.Now().After(t.expires) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), issueTimeout)
	defer cancel()
	err := t.issuer.revoke(ctx, t.current)
	t.current, t.renewAt, t.expires = "", time.Time{}, time.Time{}
	return err
}

// secrets are what no detail may hold.
func (t *tokens) secrets() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := []string{t.current}
	if t.issuer != nil {
		out = append(out, t.issuer.secrets()...)
	}
	return out
}

// authorized puts the token of the moment on each request. One that LINE refuses is renewed once, and the request
// made again as it was, with the same retry key.
type authorized struct {
	base   http.RoundTripper
	tokens *tokens
}

func (a *authorized) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := a.tokens.get(req.Context())
	if err != nil {
		return nil, err
	}
	res, err := a.base.RoundTrip(with(req, token, req.Body))
	if err != nil || res.StatusCode != http.StatusUnauthorized || req.Body != nil && req.GetBody == nil {
		return res, err
	}
	other, ok := a.tokens.refused(req.Context(), token)
	if !ok {
		return res, nil
	}
	var body io.ReadCloser
	if req.GetBody != nil {
		if body, err = req.GetBody(); err != nil {
			return res, nil //nolint:nilerr // the first answer stands
		}
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	_ = res.Body.Close()
	return a.base.RoundTrip(with(req, other, body))
}

func with(req *http.Request, token string, body io.ReadCloser) *http.Request {
	out := req.Clone(req.Context())
	out.Body = body
	out.Header.Set("Authorization", "Bearer "+token)
	return out
}

// issueError says why LINE issued no token. It holds no secret.
type issueError struct {
	status int // 0 where no answer came
	words  string
}

func (e *issueError) Error() string {
	if e.status == 0 {
		return "LINE could not be asked for a channel access token: " + e.words
	}
	return fmt.Sprintf("LINE issued no channel access token: it answered %d: %s", e.status, e.words)
}

// permanent tells whether somebody has to change the credentials.
func (e *issueError) permanent() bool {
	return e.status == http.StatusBadRequest || e.status == http.StatusUnauthorized || e.status == http.StatusForbidden
}

func asIssueError(err error) (*issueError, bool) {
	var e *issueError
	ok := errors.As(err, &e)
	return e, ok
}

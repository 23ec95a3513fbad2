// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package wire is what the senders over HTTP have in common: one request and its answer, watched
// closely enough to say whether the provider can have taken it.
package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

// maxBody is how much of an answer is read; no provider's answer comes near it.
const maxBody = 1 << 20

// Exchange is one request and what came of it. The SDKs lose the status, the headers or the body of
// some errors, so outcomes are judged by this and not by their errors.
type Exchange struct {
	begin    channel.Begin
	beginCtx context.Context

	// Tried is false when the SDK gave up before there was a request.
	Tried bool
	// BeginErr is what begin said. Then nothing was sent.
	BeginErr error
	// Status is 0 when no answer came.
	Status int
	Header http.Header
	Body   []byte
	// Err is why no answer came.
	Err error

	connected atomic.Bool
	cutShort  atomic.Bool
}

type exchangeKey struct{}

// With attaches a new Exchange to a context. begin, which may be nil, is called with ctx when the
// request is complete and before it is sent.
func With(ctx, beginCtx context.Context, begin channel.Begin) (context.Context, *Exchange) {
	x := &Exchange{begin: begin, beginCtx: beginCtx}
	return context.WithValue(ctx, exchangeKey{}, x), x
}

// Ambiguous says that no answer came although the provider may have read the whole request.
func (x *Exchange) Ambiguous() bool {
	return x.Status == 0 && x.connected.Load() && !x.cutShort.Load()
}

// TLSFailed says that the provider could not be trusted, and was sent nothing.
func (x *Exchange) TLSFailed() bool {
	var cert *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var record tls.RecordHeaderError
	return errors.As(x.Err, &cert) || errors.As(x.Err, &unknown) || errors.As(x.Err, &name) || errors.As(x.Err, &record)
}

// RetryAfter is the header's value in seconds, 0 if there is none. Dates are not honoured: no
// provider here sends them.
func (x *Exchange) RetryAfter() time.Duration {
	n, err := strconv.Atoi(x.Header.Get("Retry-After"))
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, time.Hour)
}

func (x *Exchange) roundTrip(base http.RoundTripper, req *http.Request) (*http.Response, error) {
	x.Tried = true
	if x.begin != nil {
		if x.BeginErr = x.begin(x.beginCtx); x.BeginErr != nil {
			return nil, x.BeginErr
		}
	}
	trace := &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { x.connected.Store(true) },
		// Without its last bytes a request is not one. This runs after a cancelled request has
		// returned, too, so only a failure counts here, never a success that has not been heard of.
		WroteRequest: func(i httptrace.WroteRequestInfo) { x.cutShort.Store(i.Err != nil) },
	}
	res, err := base.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil {
		x.Err = err
		return nil, err
	}
	// Read here and not by the SDK: an error's body left unread costs the connection.
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	_ = res.Body.Close()
	x.Status, x.Header, x.Body, x.Err = res.StatusCode, res.Header, body, err
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

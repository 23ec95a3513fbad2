// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"net/http"
	"net/http/httptest"

	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/store"
)

const (
	// lineSecret signs what LINE tells of, and lineChannel is the ChannelConfig that it tells it to.
	lineSecret  = "secret"
	lineChannel = "line-main"
)

// account is the LINE account of the shop. Its webhooks come to the gateway over a socket.
func (s *stage) account() sandbox.LINEChannel {
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.gateway.ServeHTTP(w, r) }))
	s.Cleanup(hook.Close)
	return sandbox.LINEChannel{
		Name: lineChannel, Token: sandbox.DefaultLINEToken, DisplayName: sandbox.DefaultLINEName, BasicID: sandbox.DefaultLINEBasicID,
		Secret: lineSecret, WebhookURL: hook.URL + "/v1/webhooks/line/" + namespace + "/" + lineChannel,
	}
}

// inLine lets a customer do something in LINE.
func (s *stage) inLine(e *LineEvent) {
	s.Helper()
	user := e.Customer
	err := s.store.QueryRow(s.ctx, `SELECT line_user_id FROM customers WHERE ns = $1 AND id = $2 AND line_user_id IS NOT NULL`, namespace, e.Customer).Scan(&user)
	if err != nil && !store.IsNotFound(err) {
		s.ok(err)
	}
	status, err := s.doubles.Client().Happen(s.ctx, sandbox.LINEEvent{Type: e.Type, User: user, Text: e.Text, Data: e.Data})
	s.ok(err)
	if status != http.StatusOK {
		s.Fatalf("%s: the webhook was answered with %d", s.now(), status)
	}
}

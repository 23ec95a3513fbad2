// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/kaeru-dev/kaeru/internal/sandbox/twilio"
)

// SMSSaid is a text message that a telephone sends to the shop.
type SMSSaid = twilio.Said

// SMSHeard is what the shop's webhook answered.
type SMSHeard = twilio.Heard

// saySMS lets a telephone say something.
func (s *Sandbox) saySMS(w http.ResponseWriter, r *http.Request) {
	var m SMSSaid
	in := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16))
	in.DisallowUnknownFields()
	if err := in.Decode(&m); err != nil {
		refuse(w, http.StatusBadRequest, "the body is no text message: %s", err)
		return
	}
	heard, err := s.twilio.Say(r.Context(), m)
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return
	}
	reply(w, http.StatusOK, heard)
}

// Say lets a telephone send a text message to the shop.
func (c *Client) Say(ctx context.Context, m SMSSaid) (SMSHeard, error) {
	return call[SMSHeard](ctx, c, http.MethodPost, "/api/sms", m)
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"context"
	"errors"
	"net/http"
	"time"

	api "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

var _ channel.Asker = (*Sender)(nil)

// Ask fetches a message that Twilio took.
func (s *Sender) Ask(ctx context.Context, providerID string) (channel.Delivery, error) {
	var found *api.ApiV2010Message
	x, err := s.ask(ctx, func(a *api.ApiService) (err error) {
		found, err = a.FetchMessage(providerID, &api.FetchMessageParams{})
		return err
	})
	switch {
	case x.Status == http.StatusNotFound:
		return channel.Delivery{}, channel.ErrNoMessage
	case err != nil || x.Status < 200 || x.Status > 299 || found == nil || found.Status == nil:
		return channel.Delivery{}, errors.New(s.words(nil, x))
	}
	d := channel.Delivery{Status: *found.Status}
	if found.ErrorCode != nil {
		d.Code = *found.ErrorCode
	}
	if found.To != nil {
		d.To = *found.To
	}
	return d, nil
}

// What Twilio takes as a validity period.
const (
	leastValid = time.Second
	mostValid  = 10 * time.Hour
)

// validity is a time in the whole seconds that Twilio takes.
func validity(d time.Duration) int {
	return int(min(max(d, leastValid), mostValid) / time.Second)
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"context"
	"strings"
	"time"

	api "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/wire"
)

const (
	// skew is how far the clocks of Twilio and of this machine may differ.
	skew = 5 * time.Minute
	// lookupTimeout bounds the whole search, also after the caller's context has ended.
	lookupTimeout = 30 * time.Second
	pageSize      = 100
)

// Resolve looks for the message at Twilio. Unknown with the reason OutcomeLost means Twilio was asked
// and does not show it; with another reason Twilio could not be asked, and may be later.
func (s *Sender) Resolve(ctx context.Context, m *channel.Message) channel.Outcome {
	if err := check(m); err != nil {
		return channel.Outcome{End: channel.Failed, Reason: channel.ReasonMessageInvalid, Detail: err.Error()}
	}
	since := m.SMS.Since
	if since.IsZero() {
		since = time.Now()
	}
	return s.find(ctx, m, since, "the outcome was lost")
}

// find looks a few times: a message shows up in the list some time after it was taken. When ctx
// ends it looks once more and gives up.
func (s *Sender) find(ctx context.Context, m *channel.Message, since time.Time, why string) channel.Outcome {
	out, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookupTimeout)
	defer cancel()
	unknown := channel.Outcome{End: channel.Unknown}
	for _, d := range s.config.LookupDelays {
		wait(ctx, d)
		found, failed := s.look(out, m, since)
		if found != nil {
			return outcome(found)
		}
		unknown.Reason, unknown.Detail = channel.ReasonOutcomeLost, why+"; Twilio does not show the message"
		if failed != nil {
			unknown.Reason, unknown.Detail = lookupReason(failed), why+"; it could not be looked up: "+s.words(m, failed)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return unknown
}

func lookupReason(x *wire.Exchange) string {
	switch {
	case x.Status == 0:
		return channel.ReasonProviderUnreachable
	case x.Status >= 500:
		return channel.ReasonProviderFailing
	}
	return byStatus(x.Status).reason
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// look asks by recipient and time first, then by recipient alone: Twilio's filter is on the time of
// sending, so it hides what is still queued.
func (s *Sender) look(ctx context.Context, m *channel.Message, since time.Time) (*api.ApiV2010Message, *wire.Exchange) {
	after := since.Add(-skew).UTC().Truncate(time.Second)
	byTime := (&api.ListMessageParams{}).SetTo(m.To).SetPageSize(pageSize).SetDateSentAfter(after)
	found, failed := s.page(ctx, m, after, byTime)
	if found != nil || failed != nil {
		return found, failed
	}
	return s.page(ctx, m, after, (&api.ListMessageParams{}).SetTo(m.To).SetPageSize(pageSize))
}

func (s *Sender) page(ctx context.Context, m *channel.Message, after time.Time, p *api.ListMessageParams) (*api.ApiV2010Message, *wire.Exchange) {
	ctx, cancel := context.WithTimeout(ctx, s.config.Timeout)
	defer cancel()
	ctx, x := wire.With(ctx, ctx, nil)
	list, err := s.call(ctx).PageMessage(p, "", "")
	if err != nil || x.Status < 200 || x.Status > 299 {
		if x.Err == nil {
			x.Err = err
		}
		return nil, x
	}
	for i := range list.Messages {
		if same(m, &list.Messages[i], after) {
			return &list.Messages[i], nil
		}
	}
	return nil, nil
}

// same recognises a message by its link, and by its age: one that could not be delivered before has the same
// link. Without a link, an equal text counts only if it is known to be as new.
func same(m *channel.Message, found *api.ApiV2010Message, after time.Time) bool {
	if found.Body == nil || found.Direction != nil && *found.Direction == "inbound" {
		return false
	}
	if m.SMS.Link != "" && found.DateCreated == nil {
		return strings.Contains(*found.Body, m.SMS.Link)
	}
	if found.DateCreated == nil {
		return false
	}
	created, err := time.Parse(time.RFC1123Z, *found.DateCreated)
	if err != nil || created.Before(after) {
		return false
	}
	if m.SMS.Link != "" {
		return strings.Contains(*found.Body, m.SMS.Link)
	}
	return strings.TrimSpace(*found.Body) == strings.TrimSpace(m.SMS.Text)
}

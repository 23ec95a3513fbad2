// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	api "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/wire"
)

// untrustedPause is how long a channel rests whose provider cannot be trusted: certificates are
// mended on the other side, and nobody tells us.
const untrustedPause = 15 * time.Minute

// unsent is a request that Twilio cannot have read.
func (s *Sender) unsent(ctx context.Context, m *channel.Message, x *wire.Exchange) channel.Outcome {
	o := channel.Outcome{End: channel.Retry, Reason: channel.ReasonProviderUnreachable, Detail: s.words(m, x)}
	switch {
	case !x.Tried:
		o.End, o.Reason = channel.Failed, channel.ReasonMessageInvalid
	case x.BeginErr != nil:
		o.Reason, o.Detail = channel.ReasonNotBegun, s.redact(m, x.BeginErr.Error())
	case x.TLSFailed():
		o.Reason = channel.ReasonTLSFailed
		o.Pause = &channel.Pause{Reason: o.Reason, Until: time.Now().Add(untrustedPause)}
	case ctx.Err() != nil:
		o.Reason = channel.ReasonInterrupted
	}
	return o
}

// taken is a 2xx: Twilio has the message, whatever became of the rest of the answer.
func (s *Sender) taken(ctx context.Context, m *channel.Message, x *wire.Exchange, since time.Time) channel.Outcome {
	var res api.ApiV2010Message
	if err := json.Unmarshal(x.Body, &res); err == nil && res.Sid != nil && *res.Sid != "" {
		return outcome(&res)
	}
	if o := s.find(ctx, m, since, ""); o.End == channel.Sent || o.End == channel.Failed {
		return o
	}
	return channel.Outcome{End: channel.Sent}
}

// outcome is what a message that exists at Twilio amounts to. Whether it arrives is told by its
// callbacks; but what has failed already, as the answer to a lookup may say, is not Sent.
func outcome(res *api.ApiV2010Message) channel.Outcome {
	o := channel.Outcome{End: channel.Sent}
	if res.Status != nil && (*res.Status == "failed" || *res.Status == "undelivered" || *res.Status == "canceled") {
		code := 0
		if res.ErrorCode != nil {
			code = *res.ErrorCode
		}
		o = Undelivered(code)
		if *res.Status == "canceled" {
			o.Detail = "the message was cancelled at Twilio"
		}
	}
	if res.Sid != nil {
		o.ProviderID = *res.Sid
	}
	if res.NumSegments != nil {
		o.Parts, _ = strconv.Atoi(*res.NumSegments) // "0" until a messaging service has chosen a sender
	}
	return o
}

// refusal is Twilio's form of an error.
type refusal struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// refused is a 3xx or 4xx: Twilio did not take the message.
func (s *Sender) refused(m *channel.Message, x *wire.Exchange) channel.Outcome {
	var r refusal
	_ = json.Unmarshal(x.Body, &r) // what is not JSON has no code
	v, known := refusals[r.Code]
	if !known {
		v = byStatus(x.Status)
	}
	o := v.outcome()
	o.Detail = s.words(m, x)
	if after := x.RetryAfter(); o.End == channel.Retry && after > o.RetryAfter {
		o.RetryAfter = after
	}
	return o
}

func byStatus(status int) verdict {
	switch {
	case status == http.StatusUnauthorized:
		return pausing(channel.ReasonCredentialsInvalid)
	case status == http.StatusForbidden:
		return pausing(channel.ReasonPermissionDenied)
	case status == http.StatusTooManyRequests:
		return verdict{end: channel.Retry, reason: channel.ReasonRateLimited, slow: true}
	case status < 400, status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		return pausing(channel.ReasonConfigurationWrong) // no such API or account is there
	case status == http.StatusRequestEntityTooLarge:
		return verdict{end: channel.Failed, reason: channel.ReasonContentTooLarge}
	}
	return verdict{end: channel.Failed, reason: channel.ReasonRefused}
}

// words describes an exchange for an operator.
func (s *Sender) words(m *channel.Message, x *wire.Exchange) string {
	switch {
	case x.Status == 0 && x.Err != nil:
		return s.redact(m, "no answer from Twilio: "+x.Err.Error())
	case x.Status == 0:
		return "no request was made"
	}
	var r refusal
	if err := json.Unmarshal(x.Body, &r); err != nil || r.Code == 0 {
		return fmt.Sprintf("Twilio answered %d", x.Status)
	}
	return s.redact(m, fmt.Sprintf("Twilio answered %d, code %d: %s", x.Status, r.Code, r.Message))
}

func (s *Sender) redact(m *channel.Message, words string) string {
	private := []string{s.password, s.user}
	content := ""
	if m != nil {
		private = append(private, m.To, m.Customer, m.SMS.Link, m.SMS.StatusCallback)
		content = m.SMS.Text
	}
	return channel.Redact(words, content, private...)
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/line/line-bot-sdk-go/v8/linebot/messaging_api"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/wire"
)

// What LINE says, as far as the status alone does not tell.
const (
	textMonthlyLimit = "monthly limit"
	textNoUser       = "failed to send messages"
	textBadTo        = "the property, 'to'"
)

// unreachablePause is how long a channel rests whose provider cannot be trusted: certificates are
// mended on the other side, and nobody tells us.
const unreachablePause = 15 * time.Minute

// judge says what became of a push.
func (s *Sender) judge(ctx context.Context, m *channel.Message, x *wire.Exchange, sent []messaging_api.SentMessage) channel.Outcome {
	if x.Status == 0 {
		return s.unanswered(ctx, m, x)
	}
	var e messaging_api.ErrorResponse
	if x.Status >= 300 {
		_ = json.Unmarshal(x.Body, &e) // what is not JSON has no message
	}
	detail := func() string { return channel.Redact(describe(x.Status, e), content(m), s.private(m)...) }
	switch {
	case x.Status < 300:
		o := channel.Outcome{End: channel.Sent, ProviderID: x.Header.Get("X-Line-Request-Id")}
		if len(sent) > 0 {
			o.ProviderID = sent[0].Id
		}
		return o
	case x.Status == http.StatusConflict:
		return s.accepted(x, e, detail())
	case x.Status == http.StatusBadRequest:
		return badRequest(e, detail())
	case x.Status == http.StatusRequestEntityTooLarge:
		return channel.Outcome{End: channel.Failed, Reason: channel.ReasonContentTooLarge, Detail: detail()}
	case x.Status == http.StatusTooManyRequests:
		return tooMany(x, e, detail())
	case x.Status >= 500 || x.Status == http.StatusRequestTimeout:
		// The push may have gone out all the same; the key makes it safe to repeat.
		return channel.Outcome{End: channel.Retry, Reason: channel.ReasonProviderFailing, Detail: detail(),
			RetryAfter: x.RetryAfter(), Ambiguous: true}
	}
	if reason := channelReason(x.Status); reason != "" {
		return channel.Outcome{End: channel.Retry, Reason: reason, Detail: detail(), Pause: &channel.Pause{Reason: reason}}
	}
	return channel.Outcome{End: channel.Failed, Reason: channel.ReasonRefused, Detail: detail()}
}

// noToken is a message that was not sent for want of a token.
func (s *Sender) noToken(ctx context.Context, m *channel.Message, err error, begun bool) channel.Outcome {
	o := channel.Outcome{End: channel.Retry, Reason: channel.ReasonProviderUnreachable, Ambiguous: begun,
		Detail: channel.Redact(err.Error(), content(m), s.private(m)...)}
	e, issued := asIssueError(err)
	switch {
	case issued && e.permanent():
		o.Reason = channel.ReasonCredentialsInvalid
		o.Pause = &channel.Pause{Reason: o.Reason}
	case issued && e.status == http.StatusTooManyRequests:
		o.Reason, o.Slow = channel.ReasonRateLimited, true
	case issued && e.status >= 500:
		o.Reason = channel.ReasonProviderFailing
	case ctx.Err() != nil:
		o.Reason = channel.ReasonInterrupted
	}
	return o
}

func (s *Sender) unanswered(ctx context.Context, m *channel.Message, x *wire.Exchange) channel.Outcome {
	o := channel.Outcome{End: channel.Retry, Reason: channel.ReasonProviderUnreachable, Ambiguous: x.Ambiguous()}
	switch {
	case x.BeginErr != nil:
		o.Reason = channel.ReasonNotBegun
		o.Detail = channel.Redact(x.BeginErr.Error(), content(m), s.private(m)...)
		return o
	case x.TLSFailed():
		o.Reason = channel.ReasonTLSFailed
		o.Pause = &channel.Pause{Reason: o.Reason, Until: time.Now().Add(unreachablePause)}
	case ctx.Err() != nil && !o.Ambiguous:
		o.Reason = channel.ReasonInterrupted
	}
	o.Detail = channel.Redact("no answer from LINE: "+errorText(x.Err), content(m), s.private(m)...)
	return o
}

// accepted is a repeated key: LINE has the message, and repeats what it answered then.
func (s *Sender) accepted(x *wire.Exchange, e messaging_api.ErrorResponse, detail string) channel.Outcome {
	id := x.Header.Get("X-Line-Accepted-Request-Id")
	if id == "" {
		// Not LINE's answer to a repeated key, which always names the request.
		return channel.Outcome{End: channel.Retry, Reason: channel.ReasonProviderFailing, Detail: detail, Ambiguous: true}
	}
	if len(e.SentMessages) > 0 {
		id = e.SentMessages[0].Id
	}
	return channel.Outcome{End: channel.Sent, ProviderID: id}
}

func badRequest(e messaging_api.ErrorResponse, detail string) channel.Outcome {
	o := channel.Outcome{End: channel.Failed, Reason: channel.ReasonContentRefused, Detail: detail}
	message := strings.ToLower(e.Message)
	switch {
	case strings.HasPrefix(message, textNoUser), strings.HasPrefix(message, textBadTo),
		len(e.Details) == 1 && e.Details[0].Property == "to":
		o.Reason, o.Suppress = channel.ReasonRecipientInvalid, true
	case e.Message == "", strings.Contains(message, "retry key"), strings.Contains(message, "retry-key"):
		// Not about the content: something between us and LINE, or the header.
		o.Reason = channel.ReasonRefused
	}
	return o
}

func tooMany(x *wire.Exchange, e messaging_api.ErrorResponse, detail string) channel.Outcome {
	o := channel.Outcome{End: channel.Retry, Reason: channel.ReasonRateLimited, Detail: detail,
		RetryAfter: x.RetryAfter(), Slow: true}
	if strings.Contains(strings.ToLower(e.Message), textMonthlyLimit) {
		o.Reason, o.Slow = channel.ReasonQuotaExhausted, false
		o.Pause = &channel.Pause{Reason: o.Reason, Until: nextMonth(time.Now())}
	}
	return o
}

// channelReason is what a status says about the channel as a whole; empty if it says nothing.
func channelReason(status int) string {
	switch {
	case status == http.StatusUnauthorized:
		return channel.ReasonCredentialsInvalid
	case status == http.StatusForbidden:
		return channel.ReasonPermissionDenied
	case status < 400, status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		return channel.ReasonConfigurationWrong // no Messaging API is there
	}
	return ""
}

// japan is where LINE's months begin.
var japan = time.FixedZone("JST", 9*60*60)

func nextMonth(now time.Time) time.Time {
	now = now.In(japan)
	return time.Date(now.Year(), now.Month()+1, 1, 0, 0, 0, 0, japan)
}

func describe(status int, e messaging_api.ErrorResponse) string {
	var b strings.Builder
	fmt.Fprintf(&b, "LINE answered %d", status)
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	for _, d := range e.Details {
		fmt.Fprintf(&b, "; %s: %s", d.Property, d.Message)
	}
	return b.String()
}

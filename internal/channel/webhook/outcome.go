// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"context"
	"fmt"
	"net/http"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/wire"
)

// judge says what became of a call. The answer's body is not looked at, and not kept: it is the shop's.
func judge(ctx context.Context, x *wire.Exchange) channel.Outcome {
	if x.Status == 0 {
		return unanswered(ctx, x)
	}
	o := channel.Outcome{Detail: fmt.Sprintf("answered with %d %s", x.Status, http.StatusText(x.Status))}
	switch {
	case x.Status < 300:
		return channel.Outcome{End: channel.Sent}
	case x.Status < 400:
		o.End, o.Reason = channel.Failed, channel.ReasonConfigurationWrong
		o.Detail += ": redirects are not followed"
	case x.Status == http.StatusTooManyRequests, x.Status == http.StatusTooEarly:
		o.End, o.Reason, o.RetryAfter = channel.Retry, channel.ReasonRateLimited, x.RetryAfter()
	case x.Status == http.StatusRequestTimeout, x.Status >= 500 && x.Status != http.StatusNotImplemented:
		// It may have been acted on all the same; its id makes it safe to repeat.
		o.End, o.Reason, o.RetryAfter, o.Ambiguous = channel.Retry, channel.ReasonProviderFailing, x.RetryAfter(), true
	case x.Status == http.StatusRequestEntityTooLarge:
		o.End, o.Reason = channel.Failed, channel.ReasonContentTooLarge
	default:
		o.End, o.Reason = channel.Failed, channel.ReasonRefused
	}
	return o
}

func unanswered(ctx context.Context, x *wire.Exchange) channel.Outcome {
	o := channel.Outcome{End: channel.Retry, Reason: channel.ReasonProviderUnreachable, Ambiguous: x.Ambiguous(), Detail: "no answer"}
	switch {
	case x.BeginErr != nil:
		o.Reason, o.Detail = channel.ReasonNotBegun, x.BeginErr.Error()
	case x.TLSFailed():
		o.Reason, o.Detail = channel.ReasonTLSFailed, "cannot be trusted"
	case ctx.Err() != nil && !o.Ambiguous:
		o.Reason = channel.ReasonInterrupted
	}
	return o
}

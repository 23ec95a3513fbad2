// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"fmt"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

// verdict is what one of Twilio's codes means for us.
type verdict struct {
	end      channel.End
	reason   string
	suppress bool
	slow     bool
	pause    bool
	// rest is how long the pause lasts; 0 until somebody changes something.
	rest  time.Duration
	after time.Duration
}

func (v verdict) outcome() channel.Outcome {
	o := channel.Outcome{End: v.end, Reason: v.reason, Suppress: v.suppress, Slow: v.slow, RetryAfter: v.after}
	if v.pause {
		o.Pause = &channel.Pause{Reason: v.reason}
		if v.rest > 0 {
			o.Pause.Until = time.Now().Add(v.rest)
		}
	}
	return o
}

// pausing keeps the message until somebody has changed the channel or the account.
func pausing(reason string) verdict {
	return verdict{end: channel.Retry, reason: reason, pause: true}
}

func failing(reason string) verdict { return verdict{end: channel.Failed, reason: reason} }

func suppressing(reason string) verdict {
	return verdict{end: channel.Failed, reason: reason, suppress: true}
}

// refusals are the codes with which Twilio does not take a message (twilio.com/docs/api/errors).
var refusals = map[int]verdict{
	14107: {end: channel.Retry, reason: channel.ReasonTooManyToOne, after: 30 * time.Second},
	20003: pausing(channel.ReasonCredentialsInvalid),
	20005: pausing(channel.ReasonPermissionDenied), // the account is not active
	20404: pausing(channel.ReasonConfigurationWrong),
	20429: {end: channel.Retry, reason: channel.ReasonRateLimited, slow: true},
	21211: suppressing(channel.ReasonRecipientInvalid),
	21212: pausing(channel.ReasonConfigurationWrong), // from is no sender
	21408: pausing(channel.ReasonConfigurationWrong), // the recipient's region is not enabled
	21602: failing(channel.ReasonContentRefused),     // no body
	21603: pausing(channel.ReasonConfigurationWrong), // from is missing
	21605: failing(channel.ReasonContentTooLarge),
	21606: pausing(channel.ReasonConfigurationWrong), // from is not ours, or cannot send texts
	21609: pausing(channel.ReasonConfigurationWrong), // the callback's URL: --public-url
	21610: suppressing(channel.ReasonRecipientOptedOut),
	21611: {end: channel.Retry, reason: channel.ReasonQueueFull, slow: true, after: time.Minute},
	21612: pausing(channel.ReasonConfigurationWrong), // from cannot reach there
	21614: suppressing(channel.ReasonRecipientInvalid),
	21617: failing(channel.ReasonContentTooLarge),
	21635: suppressing(channel.ReasonRecipientInvalid), // a landline
	21659: pausing(channel.ReasonConfigurationWrong),   // from is not a Twilio number
	21660: pausing(channel.ReasonConfigurationWrong),   // from is another account's
	21701: pausing(channel.ReasonConfigurationWrong),   // no such messaging service
	21703: pausing(channel.ReasonConfigurationWrong),   // the messaging service has no number
	21704: pausing(channel.ReasonConfigurationWrong),   // likewise, for this country
	21705: pausing(channel.ReasonConfigurationWrong),   // the messaging service's SID
	30001: {end: channel.Retry, reason: channel.ReasonQueueFull, slow: true, after: time.Minute},
	30002: pausing(channel.ReasonPermissionDenied), // the account is suspended
	30036: {end: channel.Retry, reason: channel.ReasonQueueFull, slow: true, after: time.Minute},
	30450: failing(channel.ReasonContentFiltered),
	63038: {end: channel.Retry, reason: channel.ReasonQuotaExhausted, pause: true, rest: time.Hour}, // the account's day is full
}

// deliveries are the codes with which a message that was taken ends failed or undelivered. It is not
// sent again under its key, so all of them are Failed.
var deliveries = map[int]verdict{
	30001: failing(channel.ReasonQueueFull),
	30002: failing(channel.ReasonPermissionDenied),
	30003: failing(channel.ReasonRecipientUnreachable),
	30004: failing(channel.ReasonContentFiltered), // blocked
	30005: suppressing(channel.ReasonRecipientInvalid),
	30006: suppressing(channel.ReasonRecipientInvalid), // a landline
	30007: failing(channel.ReasonContentFiltered),      // by the carrier
	30008: failing(channel.ReasonRecipientUnreachable), // nobody knows why
	30036: failing(channel.ReasonQueueFull),            // waited longer than it was good for
	30450: failing(channel.ReasonContentFiltered),
	63038: failing(channel.ReasonQuotaExhausted),
}

// Undelivered is the outcome of a message that Twilio took and could not deliver, by the ErrorCode of
// its status; 0 where there was none.
func Undelivered(code int) channel.Outcome {
	v, known := deliveries[code]
	if !known {
		v = failing(channel.ReasonRefused)
		if r, ok := refusals[code]; ok && r.end == channel.Failed {
			v = r
		}
	}
	o := v.outcome()
	o.Detail = fmt.Sprintf("Twilio could not deliver it, code %d", code)
	return o
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
)

// advice is what to do about a channel that is paused, by the reason of its pause.
var advice = map[string]string{
	channel.ReasonCredentialsInvalid: "put valid credentials into the Secret",
	channel.ReasonPermissionDenied:   "have the provider allow the account to send",
	channel.ReasonConfigurationWrong: "correct the channel's sender or endpoint, or the account's settings at the provider",
	channel.ReasonPolicyRefused:      "see that SPF, DKIM and DMARC of the sender's domain are right and that the server is on no blocklist",
	channel.ReasonTLSFailed:          "see that the server offers TLS with a certificate that can be trusted, and that spec names the right host and port",
	channel.ReasonQuotaExhausted:     "raise the account's limit with the provider, or wait",
}

// alarms say what was seen and what to do about it.
var alarms = map[string]string{
	channel.ReasonContentFiltered:   "%d messages since %s were filtered as spam: have the sender registered with the carriers, and look at the words and links of what is sent",
	channel.ReasonTooManyToOne:      "the provider saw too many messages between two numbers (%d since %s): look for another system that answers what Kaeru sends, or a frequency cap that is missing",
	dispatch.ReasonSlowedDown:       "the provider refused messages that came too fast (%d times since %s): all processes send at half the rate, and come back to it within minutes; if it happens again, lower spec.rateLimit.perSecond to what the account may send",
	dispatch.ReasonSignatureInvalid: "%d callbacks since %s had a signature that is not valid: see that the Secret has the account's own secret and that --public-url is the address the provider calls; otherwise somebody is trying",
}

// pausedMessage says why a channel is paused, how long, and what to do.
func pausedMessage(p channel.Pause) string {
	message := "sending is paused"
	if !p.Until.IsZero() {
		message += " until " + p.Until.UTC().Format(time.RFC3339)
	}
	message += ": " + p.Reason
	if p.Detail != "" {
		message += " (" + p.Detail + ")"
	}
	if do := advice[p.Reason]; do != "" {
		message += "; " + do
	}
	if p.Until.IsZero() || p.Reason == channel.ReasonQuotaExhausted {
		message += "; then set the annotation " + crm.AnnotationRequestedAt + " to go on at once"
	}
	return message
}

// note is as much of a message as an Event takes.
func note(message string) string {
	const limit = 1000
	if len(message) <= limit {
		return message
	}
	return strings.ToValidUTF8(message[:limit], "") + "…"
}

// announce tells of what changed for a channel that is configured: that it was paused or goes on, and
// of what an operator should look at.
func (r *ChannelConfigReconciler) announce(ref dispatch.Ref, before, now *crm.ChannelConfig) {
	was, is := meta.FindStatusCondition(before.Status.Conditions, crm.ConditionReady), meta.FindStatusCondition(now.Status.Conditions, crm.ConditionReady)
	switch {
	case is == nil:
	case is.Status == metav1.ConditionFalse && (was == nil || was.Status != is.Status || was.Reason != is.Reason):
		r.Recorder.Eventf(now, nil, "Warning", is.Reason, "Send", "%s", note(is.Message))
	case is.Status == metav1.ConditionTrue && was != nil && was.Status == metav1.ConditionFalse && was.Reason != crm.ReasonProgressing:
		r.Recorder.Eventf(now, nil, "Normal", crm.ReasonResumed, "Send", "sending goes on; it was %s before", was.Reason)
	}
	for _, a := range r.Channels.Alerts(ref) {
		if words := alarms[a.Reason]; words != "" {
			r.Recorder.Eventf(now, nil, "Warning", a.Reason, "Send", "%s", fmt.Sprintf(words, a.Count, a.Since.UTC().Format(time.RFC3339)))
		}
	}
}

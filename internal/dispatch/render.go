// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"fmt"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/journey"
)

// Reasons of messages that end here, before any provider sees them. The rest come from channel.
const (
	ReasonNoConsent      = "NoConsent"
	ReasonNoPurpose      = "PurposeWithdrawn"
	ReasonNoAddress      = "NoAddress"
	ReasonSuppressed     = "Suppressed"
	ReasonCustomerGone   = "CustomerGone"
	ReasonConverted      = "Converted"
	ReasonExited         = "Exited"
	ReasonExpired        = "Expired"
	ReasonNotOnAllowList = "NotOnAllowList"
	ReasonMissingValue   = "MissingValue"
	ReasonRenderFailed   = "RenderFailed"
	ReasonRevisionGone   = "RevisionGone"
	ReasonStepGone       = "StepGone"
	ReasonSandbox        = "Sandbox"
)

// ReasonEpochChanged ends the ways of a Scenario's epoch when another one begins.
const ReasonEpochChanged = "EpochChanged"

// calls says that the letter is a call of the shop's systems, of which the customer hears nothing.
func (l *letter) calls() bool { return l.kind == string(journey.KindWebhook) }

// skip says why the message must not go out, empty if it may.
func (l *letter) skip() string {
	calls := l.calls()
	switch {
	case !l.known:
		return ReasonCustomerGone
	case !calls && l.consent != "granted" && (l.reply == nil || l.consent != ""):
		// An answer to what the customer asked needs none, as long as none was withdrawn.
		return ReasonNoConsent
	case !calls && l.refused:
		return ReasonNoPurpose
	case !calls && l.address == "":
		return ReasonNoAddress
	case !calls && l.suppressed != "":
		return ReasonSuppressed
	case l.exitedFor != "" && l.exitedFor != journey.ReasonExitStep && l.exitedFor != ReasonEpochChanged:
		// Who went through an exit step still gets what was planned before it, and so does who was in
		// a run of the epoch before.
		return ReasonExited
	}
	return ""
}

// render makes the message for its customer. unmade has a reason where it cannot be made, which is for good.
func (e *Engine) render(ctx context.Context, ch *Channel, l *letter) (m *channel.Message, unmade end, err error) {
	if l.unmade != "" {
		return nil, end{reason: l.unmade}, nil
	}
	if l.converted && l.rev.Journey.ExitsOnGoal() && l.state == StatePlanned {
		return nil, end{reason: ReasonConverted}, nil
	}
	facts, err := l.who.facts(l.customer)
	if err != nil {
		// One customer's attributes must not stop the others.
		return nil, end{reason: ReasonRenderFailed, detail: "the customer's attributes cannot be read"}, nil //nolint:nilerr // said
	}
	data := l.rev.data(facts, l.let, l.coupon.data())
	data.Recommendations = l.recommended
	m, short, err := e.compose(ctx, data, ch, l)
	if err != nil {
		if ctx.Err() != nil {
			return nil, end{}, ctx.Err()
		}
		return nil, whyUnmade(err), nil
	}
	l.short = short
	return m, end{}, nil
}

func (e *Engine) compose(ctx context.Context, data *content.Data, ch *Channel, l *letter) (*channel.Message, []content.ShortLink, error) {
	t := &l.template
	links := content.Links{Signer: e.signer, Namespace: l.ref.Namespace, Message: l.key, Clicks: ch.Clicks, Opens: ch.Opens}
	m := &channel.Message{Key: l.key, Customer: l.customer, To: l.address}
	switch {
	case t.email != nil:
		mail, err := t.email.Render(ctx, data, links)
		if err != nil {
			return nil, nil, err
		}
		m.Email = &channel.Email{Subject: mail.Subject, HTML: mail.HTML, Text: mail.Text}
		if e.oneClick {
			m.Email.UnsubscribeURL, err = links.UnsubscribeURL()
		}
		return m, nil, err
	case t.line != nil:
		push, err := t.line.Render(ctx, data, links)
		if err != nil {
			return nil, nil, err
		}
		m.Line = &channel.Line{Messages: push.Messages, Since: l.begun}
		if l.reply != nil {
			m.Line.ReplyToken = l.reply.token
		}
		return m, push.Short, nil
	case t.sms != nil:
		text, err := t.sms.Render(ctx, data, links)
		if err != nil {
			return nil, nil, err
		}
		l.parts = text.Count.Parts
		m.SMS = &channel.SMS{Text: text.Body, Since: l.begun, ValidFor: e.validFor(l, ch)}
		if ch.StatusCallback != "" {
			// Twilio repeats a callback only where the connection failed, unless the address asks for
			// more: with this it repeats what a busy gateway answered with 503, five times.
			m.SMS.StatusCallback = ch.StatusCallback + "?m=" + l.id + "#rc=5&rp=all"
		}
		if len(text.Short) > 0 {
			m.SMS.Link = e.signer.PublicURL() + "/s/" + text.Short[0].Code
		}
		return m, text.Short, nil
	case t.call != nil:
		var err error
		m.Webhook, err = t.call.make(ctx, data, l)
		return m, nil, err
	}
	return nil, nil, fmt.Errorf("step %s sends nothing", l.step)
}

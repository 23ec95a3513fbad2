// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package preview

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/controllers"
	"github.com/kaeru-dev/kaeru/internal/channel/email"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/journey"
)

// Preview is a message as a customer would get it.
type Preview struct {
	Namespace string `json:"namespace"`
	Scenario  string `json:"scenario"`
	Revision  string `json:"revision"`
	Step      string `json:"step"`
	Variant   string `json:"variant,omitempty"`
	Fallback  bool   `json:"fallback,omitempty"`
	Kind      string `json:"kind"`
	Channel   string `json:"channel,omitempty"`
	Mode      string `json:"mode,omitempty"`
	Customer  string `json:"customer"`
	// From is the sender, and To the customer's address, of which only a part is shown.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Skips are why it would not go out; none means that it would.
	Skips []Skip   `json:"skips,omitempty"`
	Notes []string `json:"notes,omitempty"`

	Email   *Email            `json:"email,omitempty"`
	Line    []json.RawMessage `json:"line,omitempty"`
	SMS     *SMS              `json:"sms,omitempty"`
	Webhook *Webhook          `json:"webhook,omitempty"`

	raw []byte
}

// Skip is a reason why a message would not go out.
type Skip struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// Email is the content of a mail.
type Email struct {
	Subject   string `json:"subject"`
	Preheader string `json:"preheader,omitempty"`
	Text      string `json:"text,omitempty"`
	HTML      string `json:"html,omitempty"`
}

// SMS is a text, and what it costs.
type SMS struct {
	Text     string `json:"text"`
	Encoding string `json:"encoding"`
	// Units are septets or UTF-16 units, and Parts what the carrier bills.
	Units int    `json:"units"`
	Parts int    `json:"parts"`
	Cost  string `json:"cost,omitempty"`
}

// Webhook is a call of the shop's own system.
type Webhook struct {
	URL  string          `json:"url"`
	Body json.RawMessage `json:"body"`
}

// Render makes a message to look at. It writes nothing, asks no provider, and takes no coupon.
func Render(ctx context.Context, s Source, q Question) (*Preview, error) {
	signer, err := throwaway(s.PublicURL)
	if err != nil {
		return nil, err
	}
	m, err := s.open(ctx, q.Scenario, signer)
	if err != nil {
		return nil, err
	}
	to, err := s.recipient(ctx, m, &q)
	if err != nil {
		return nil, err
	}
	way := m.way(&q)
	ch, config, notes, err := s.channel(ctx, way)
	if err != nil {
		return nil, err
	}
	// Links that lead where they say are of more use in a preview; a text's are short, and are paid for.
	shown := *ch
	shown.Clicks, shown.Opens, shown.StatusCallback = way.Kind == journey.KindSMS, false, ""
	draft, err := m.engine.Draft(ctx, dispatch.Drafting{
		Ref: m.ref, Revision: m.compiled, Step: q.Step, Variant: q.Variant, Fallback: q.Fallback, Channel: &shown, Key: newKey(), Fill: true,
	}, to)
	if err != nil {
		return nil, err
	}
	p := &Preview{
		Namespace: s.Namespace, Scenario: q.Scenario, Revision: m.revision, Step: q.Step, Variant: draft.Variant, Fallback: q.Fallback,
		Kind: string(way.Kind), Customer: to.ID, Mode: string(ch.Mode), To: Mask(way.Kind, to.Addresses[string(way.Kind)]),
		Notes: append(notes, draft.Notes...),
	}
	if way.Kind != journey.KindWebhook {
		p.Channel = way.Channel
	}
	for _, skip := range draft.Skips {
		p.Skips = append(p.Skips, Skip{skip.Reason, skip.Words})
	}
	err = p.fill(draft, ch, config, m.compiled.Bundle.Shop.Currency, to)
	return p, err
}

// channel is what the message goes through, without its credentials. Where it is not there, the message can be
// made all the same.
func (s *Source) channel(ctx context.Context, way journey.Way) (*dispatch.Channel, *crm.ChannelConfig, []string, error) {
	none := &dispatch.Channel{Kind: string(way.Kind), Mode: dispatch.ModeLive}
	if way.Kind == journey.KindWebhook || way.Channel == "" {
		return none, nil, nil, nil
	}
	var config crm.ChannelConfig
	err := s.get(ctx, "ChannelConfig", way.Channel, &config)
	var missing *notFoundError
	if errors.As(err, &missing) {
		return none, nil, []string{missing.Error() + "; without it neither its sender nor its price is known"}, nil
	}
	if err != nil {
		return nil, nil, nil, err
	}
	if config.Namespace = s.Namespace; string(config.Spec.Type()) != string(way.Kind) {
		return nil, nil, nil, fmt.Errorf("ChannelConfig %q is of type %s, and the step needs one of type %s", way.Channel, config.Spec.Type(), way.Kind)
	}
	ch, err := controllers.Channel(ctx, s.Objects, &config, false)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("ChannelConfig %s: %w", way.Channel, err)
	}
	return ch, &config, nil, nil
}

// fill writes the message into the preview.
func (p *Preview) fill(d *dispatch.Draft, ch *dispatch.Channel, config *crm.ChannelConfig, currency string, to *dispatch.Recipient) (err error) {
	p.From = senderOf(config)
	m := d.Message
	switch {
	case m == nil:
	case m.Email != nil:
		p.Email = &Email{Subject: m.Email.Subject, Preheader: content.Preheader(m.Email.HTML), Text: m.Email.Text, HTML: m.Email.HTML}
		if config == nil || to.Addresses["email"] == "" {
			return nil // no mail without a sender and a recipient
		}
		sender, err := email.New(controllers.EmailConfig(config.Spec.Email))
		if err != nil {
			return fmt.Errorf("spec.email: %w", err)
		}
		p.raw, err = sender.Raw(m)
		return err
	case m.Line != nil:
		p.Line = m.Line.Messages
	case m.SMS != nil:
		count := content.CountSMS(m.SMS.Text)
		p.SMS = &SMS{Text: m.SMS.Text, Encoding: string(count.Encoding), Units: count.Units, Parts: count.Parts}
		if config != nil && config.Spec.Cost != nil {
			cost, err := ch.Price.Mul(int64(count.Parts))
			if err != nil {
				return fmt.Errorf("spec.cost: %w", err)
			}
			p.SMS.Cost = cost.String() + " " + config.Spec.Cost.CurrencyOr(currency)
		}
	case m.Webhook != nil:
		p.Webhook = &Webhook{URL: m.Webhook.URL, Body: m.Webhook.Body}
	}
	return nil
}

// senderOf is who a channel's messages come from.
func senderOf(config *crm.ChannelConfig) string {
	switch {
	case config == nil:
		return ""
	case config.Spec.Email != nil:
		return config.Spec.Email.From
	case config.Spec.SMS != nil && config.Spec.SMS.Twilio.From != "":
		return config.Spec.SMS.Twilio.From
	case config.Spec.SMS != nil:
		return config.Spec.SMS.Twilio.MessagingServiceSID
	}
	return ""
}

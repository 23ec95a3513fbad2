// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package preview

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/controllers"
	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// MostTests is how many customers one test goes to at most: it is for the shop's own people.
const MostTests = 20

// Result is what became of one test message.
type Result struct {
	Customer string `json:"customer"`
	Channel  string `json:"channel"`
	// To is the address, of which only a part is shown.
	To string `json:"to,omitempty"`
	// State is sent, skipped, failed or unknown.
	State string `json:"state"`
	// Reason and Message say why it was not sent.
	Reason     string `json:"reason,omitempty"`
	Message    string `json:"message,omitempty"`
	ProviderID string `json:"providerID,omitempty"`
	Parts      int    `json:"parts,omitempty"`
	// Key is the test's own: the customer's real message has another, and is still to come.
	Key string `json:"key"`
}

// OK tells whether the message went out, or was meant not to, in mode Sandbox.
func (r *Result) OK() bool { return r.State == dispatch.StateSent }

// passed are the skips that a test is not kept back by: it is sent now, wherever its customer is in the journey.
var passed = []string{journey.ReasonConditionFalse, dispatch.ReasonConverted}

// resolveAfter are the waits before a provider is asked again what became of a message.
var resolveAfter = []time.Duration{time.Second, 3 * time.Second, 9 * time.Second}

// Test sends the message of a step to customers now, through its real channel. What was sent is recorded as a
// test, which nothing counts. Consent, suppressions and an allow list hold as for any message. An error says
// that nothing was sent to anybody whom the results do not tell of.
func Test(ctx context.Context, s Source, q Question, customers []string) ([]Result, error) {
	if len(customers) > MostTests {
		return nil, fmt.Errorf("a test goes to %d customers at most, and these are %d", MostTests, len(customers))
	}
	key, err := s.Store.Key(ctx, "links")
	if err != nil {
		return nil, fmt.Errorf("reading the key that signs links: %w", err)
	}
	signer, err := content.NewSigner(s.PublicURL, key)
	if err != nil {
		return nil, fmt.Errorf("--public-url: %w", err)
	}
	m, err := s.open(ctx, q.Scenario, signer)
	if err != nil {
		return nil, err
	}
	way := m.way(&q)
	if way.Kind == journey.KindWebhook {
		return nil, fmt.Errorf("step %q calls a webhook, which is no message: look at its body with kaeru render", q.Step)
	}
	// Whom the store does not know is a mistake in the command: nobody gets anything then.
	recipients := make([]*dispatch.Recipient, len(customers))
	for i, id := range customers {
		one := q
		one.Customer, one.Recipient = id, nil
		if recipients[i], err = s.recipient(ctx, m, &one); err != nil {
			return nil, err
		}
	}
	ch, err := s.dial(ctx, q.Step, way)
	if err != nil {
		return nil, err
	}
	defer func() { _ = ch.Sender.Close() }()
	t := tester{s, m, q, ch}
	results := make([]Result, 0, len(customers))
	for _, to := range recipients {
		result, err := t.send(ctx, to)
		if err != nil {
			return results, fmt.Errorf("customer %s: %w", to.ID, err)
		}
		results = append(results, result)
	}
	return results, nil
}

// dial makes the channel with its credentials.
func (s *Source) dial(ctx context.Context, step string, way journey.Way) (*dispatch.Channel, error) {
	if way.Channel == "" {
		return nil, fmt.Errorf("step %q sends no message, or is not there", step)
	}
	var config crm.ChannelConfig
	if err := s.get(ctx, "ChannelConfig", way.Channel, &config); err != nil {
		return nil, err
	}
	switch {
	case string(config.Spec.Type()) != string(way.Kind):
		return nil, fmt.Errorf("ChannelConfig %q is of type %s, and the step needs one of type %s", way.Channel, config.Spec.Type(), way.Kind)
	case config.Spec.Suspend:
		return nil, fmt.Errorf("ChannelConfig %q is suspended: set spec.suspend to false, or test through another channel", way.Channel)
	}
	ch, err := controllers.Channel(ctx, s.Objects, &config, true)
	if err != nil {
		return nil, fmt.Errorf("ChannelConfig %s: %w", way.Channel, err)
	}
	return ch, nil
}

// tester sends the tests of one command.
type tester struct {
	Source
	made *made
	q    Question
	ch   *dispatch.Channel
}

func (t *tester) send(ctx context.Context, to *dispatch.Recipient) (Result, error) {
	key := newKey()
	draft, err := t.made.engine.Draft(ctx, dispatch.Drafting{
		Ref: t.made.ref, Revision: t.made.compiled, Step: t.q.Step, Variant: t.q.Variant, Fallback: t.q.Fallback, Channel: t.ch, Key: key,
	}, to)
	if err != nil {
		return Result{}, err
	}
	r := Result{
		Customer: to.ID, Channel: draft.Way.Channel, To: Mask(draft.Way.Kind, to.Addresses[string(draft.Way.Kind)]),
		Key: key.String(), Parts: draft.Parts,
	}
	row := store.TestMessage{
		Key: key, Scenario: t.q.Scenario, Step: t.q.Step, Variant: draft.Variant, Revision: t.made.revision, Customer: to.ID,
		Channel: draft.Way.Channel, Kind: string(draft.Way.Kind), State: dispatch.StateSending, Parts: draft.Parts,
	}
	for _, skip := range draft.Skips {
		if slices.Contains(passed, skip.Reason) {
			continue
		}
		r.State, r.Reason, r.Message = dispatch.StateSkipped, skip.Reason, skip.Words
		err = t.begin(ctx, &row, &r, nil)
		return r, err
	}
	if t.ch.Mode == dispatch.ModeSandbox {
		r.State, r.Reason = dispatch.StateSent, dispatch.ReasonSandbox
		r.Message = "the channel is in mode Sandbox: the message was made and recorded, and nobody was called"
		err = t.begin(ctx, &row, &r, draft.Short)
		return r, err
	}
	t.mark(draft.Message)
	var began error
	begun := time.Now()
	out := t.ch.Sender.Send(ctx, draft.Message, func(ctx context.Context) error {
		began = t.begin(ctx, &row, nil, draft.Short)
		return began
	})
	if began != nil {
		return r, began
	}
	out = t.resolve(ctx, draft.Message, begun, out)
	err = t.settle(ctx, &row, &r, to, out)
	return r, err
}

// mark says in a mail's subject that it is a test.
func (t *tester) mark(m *channel.Message) {
	if m.Email == nil {
		return // a text or a push would be another message, of another length
	}
	prefix := "[TEST] "
	if t.made.compiled.Bundle.Shop.Language == "ja" {
		prefix = "[テスト] "
	}
	m.Email.Subject = prefix + m.Email.Subject
}

// begin records the message: before the provider is called, or, with a result, that it is not called.
func (t *tester) begin(ctx context.Context, row *store.TestMessage, r *Result, short []content.ShortLink) error {
	now := t.Clock.Now()
	links := make([]store.TestLink, len(short))
	for i, l := range short {
		links[i] = store.TestLink{Code: l.Code, Kind: string(rune(l.Kind)), URL: l.URL}
	}
	if err := t.Store.BeginTest(ctx, t.Namespace, *row, links, now); err != nil || r == nil {
		return err
	}
	row.State, row.Reason = r.State, r.Reason
	return t.Store.EndTest(ctx, *row, now)
}

// resolve finds out what became of a message that the provider may have, as dispatch does: by its key, or by
// asking for it. What cannot be found out is unknown, and is not sent again.
func (t *tester) resolve(ctx context.Context, m *channel.Message, begun time.Time, out channel.Outcome) channel.Outcome {
	switch {
	case m.Line != nil:
		m.Line.Since = begun
	case m.SMS != nil:
		m.SMS.Since = begun
	}
	for _, wait := range resolveAfter {
		open := out.End == channel.Retry && out.Ambiguous || out.End == channel.Unknown && out.Reason != channel.ReasonOutcomeLost
		if !open || ctx.Err() != nil {
			break
		}
		select {
		case <-time.After(max(wait, out.RetryAfter)):
		case <-ctx.Done():
			return out
		}
		out = t.ch.Sender.Resolve(ctx, m)
	}
	return out
}

// settle records an outcome, and keeps an address from being used that the provider says is none.
func (t *tester) settle(ctx context.Context, row *store.TestMessage, r *Result, to *dispatch.Recipient, out channel.Outcome) (err error) {
	ctx = context.WithoutCancel(ctx) // what a provider said must not be lost
	r.Reason, r.Message, r.ProviderID = out.Reason, out.Detail, out.ProviderID
	switch {
	case out.End == channel.Sent:
		r.State = dispatch.StateSent
	case out.End == channel.Unknown, out.Ambiguous:
		r.State = dispatch.StateUnknown
		r.Message = "the provider may have it, and did not say so: " + out.Detail
	case out.End == channel.Retry:
		r.State = dispatch.StateFailed
		r.Message = "nothing was sent; try again when this is mended: " + out.Detail
	default:
		r.State = dispatch.StateFailed
	}
	r.Parts = max(out.Parts, r.Parts)
	row.State, row.Reason, row.Provider, row.Parts = r.State, r.Reason, r.ProviderID, max(r.Parts, 1)
	if r.State == dispatch.StateSent || r.State == dispatch.StateUnknown {
		row.Cost, err = t.ch.Price.Mul(int64(row.Parts))
	}
	now := t.Clock.Now()
	if out.Suppress {
		kind := row.Kind
		err = errors.Join(err, t.Store.Suppress(ctx, t.Namespace, kind, to.Addresses[kind], out.Reason, now))
	}
	// One that was never begun has no row yet, and needs one to say that.
	err = errors.Join(err, t.ensure(ctx, *row, now), t.Store.EndTest(ctx, *row, now))
	return err
}

func (t *tester) ensure(ctx context.Context, row store.TestMessage, now time.Time) error {
	var there bool
	if err := t.Store.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM test_messages WHERE id = $1)`, row.Key.String()).Scan(&there); err != nil || there {
		return err
	}
	return t.Store.BeginTest(ctx, t.Namespace, row, nil, now)
}

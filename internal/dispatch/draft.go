// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/recommend"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// Drafting says which message to make outside of a run: to look at it, or to test it. It is made of the same
// revision, data and templates, by the same functions, as one that a run sends.
type Drafting struct {
	Ref      Ref
	Revision *Revision
	Step     string
	// Variant is the one to make; empty for the one that the customer would get.
	Variant string
	// Fallback makes what goes out instead where the first cannot.
	Fallback bool
	Channel  *Channel
	Key      uuid.UUID
	// Expires is the last moment at which the message is useful; zero for a day from now.
	Expires time.Time
	// Fill writes placeholders for values that the customer lacks, so that the rest can be seen.
	Fill bool
}

// Draft is a message for one customer.
type Draft struct {
	Step    *journey.Step
	Way     journey.Way
	Variant string
	// Message is nil where it cannot be made.
	Message *channel.Message
	// Parts is how many parts a text message takes.
	Parts int
	// Short are links in it that are rows, if it is to go out.
	Short []content.ShortLink
	// Skips are why it would not go out. Empty means that it would.
	Skips []Skip
	// Notes are what else is to be known of it.
	Notes []string
}

// Skip is a reason why a message would not go out, in the words of a status and in a sentence.
type Skip struct{ Reason, Words string }

// sampleCoupon stands for a coupon that the customer has not got: a draft takes none.
const sampleCoupon = "SAMPLE-COUPON"

// mostFilled bounds how many values are made up for one message.
const mostFilled = 50

// Draft makes one message. It writes nothing. An error says what is wrong with the question; what is wrong
// with the customer, or with the template for this customer, is in Skips.
func (e *Engine) Draft(ctx context.Context, d Drafting, to *Recipient) (*Draft, error) {
	out := &Draft{}
	l, err := e.draftLetter(d, to, out)
	if err != nil {
		return nil, err
	}
	out.permissions(d.Channel, to, d.Revision.Bundle.Spec.Purpose)
	if !out.Step.Holds(e.known(to)) {
		out.skip(journey.ReasonConditionFalse, "its condition, if, does not hold for the customer now")
	}
	if to.Converted && d.Revision.Journey.ExitsOnGoal() {
		out.skip(ReasonConverted, "the customer has reached the goal")
	}
	data, err := e.draftData(ctx, d, to, l, out)
	if err != nil {
		return nil, err
	}
	return out, e.draftMessage(ctx, d, l, data, out)
}

// draftLetter finds the template, as prepare does for messages in the store.
func (e *Engine) draftLetter(d Drafting, to *Recipient, out *Draft) (*letter, error) {
	step, known := d.Revision.Journey.Step(d.Step)
	if !known {
		var names []string
		for i := range d.Revision.Journey.Steps {
			names = append(names, d.Revision.Journey.Steps[i].Name)
		}
		return nil, fmt.Errorf("the Scenario has no step %q: it has %s", d.Step, strings.Join(names, ", "))
	}
	out.Step, out.Way = step, step.Way
	if d.Fallback {
		if step.Fallback == nil {
			return nil, fmt.Errorf("step %q has no fallback", d.Step)
		}
		out.Way = *step.Fallback
	}
	if step.Channel == "" {
		return nil, fmt.Errorf("step %q sends no message", d.Step)
	}
	out.Variant = d.Variant
	if x := step.Experiment; x != nil && out.Variant == "" {
		if out.Variant = to.Won[step.Name]; out.Variant == "" {
			out.Variant = x.Assign(d.Ref.Namespace, d.Ref.Name, d.Revision.Bundle.Spec.Epoch, step.Name, to.ID)
		}
	}
	templates := d.Revision.templates[d.Step].variants
	if _, known := templates[d.Variant]; d.Variant != "" && !known {
		if len(templates) == 0 {
			return nil, fmt.Errorf("step %q has no variants", d.Step)
		}
		return nil, fmt.Errorf("step %q has no variant %q: it has %s", d.Step, d.Variant, strings.Join(slices.Sorted(maps.Keys(templates)), ", "))
	}
	l := &letter{
		id: d.Key.String(), key: d.Key, ref: d.Ref, customer: to.ID, step: d.Step, epoch: d.Revision.Bundle.Spec.Epoch, variant: out.Variant,
		channel: out.Way.Channel, kind: string(out.Way.Kind), state: StatePlanned, rev: d.Revision, planned: step,
		address: to.Addresses[string(out.Way.Kind)], let: maps.Clone(to.Entry), expires: d.Expires,
	}
	if l.expires.IsZero() {
		l.expires = e.clock.Now().Add(usefulFor)
	}
	if d.Fallback {
		l.fellBack = ReasonNoAddress
	}
	l.chooseTemplate()
	return l, nil
}

// known are the facts that a condition sees.
func (e *Engine) known(to *Recipient) journey.Facts {
	return journey.Facts{Now: e.clock.Now(), Customer: to.Facts, Entry: to.Entry, Coupon: to.Coupon, Steps: to.Steps, Converted: to.Converted}
}

func (d *Draft) skip(reason, words string) { d.Skips = append(d.Skips, Skip{reason, words}) }

// permissions says why the customer must not get it, as skip does for messages in the store.
func (d *Draft) permissions(ch *Channel, to *Recipient, purpose string) {
	kind := string(d.Way.Kind)
	if d.Way.Kind == journey.KindWebhook {
		return // the shop gets it, and not the customer
	}
	if to.Consents[kind] != "granted" {
		words := "the customer was never asked for a consent to " + kind
		if state := to.Consents[kind]; state != "" {
			words = "the customer's consent to " + kind + " is " + state
		}
		d.skip(ReasonNoConsent, words)
	}
	if purpose != "" && to.Consents[kind+"/"+purpose] == store.ConsentWithdrawn {
		d.skip(ReasonNoPurpose, "the customer's consent to "+kind+" for "+purpose+" is withdrawn")
	}
	if to.Addresses[kind] == "" {
		d.skip(ReasonNoAddress, "the customer has no address for "+kind)
	}
	if reason := to.Suppressed[kind]; reason != "" {
		d.skip(ReasonSuppressed, "the customer's address is suppressed: "+reason)
	}
	if ch.Mode == ModeAllowList && !ch.AllowList[to.ID] {
		d.skip(ReasonNotOnAllowList, "the channel is in mode AllowList, and the customer is not in its allowList")
	}
	if frequency, _ := to.Facts[AttributeFrequency].(string); frequency == FrequencyNone {
		d.skip(ReasonFrequencyChosen, "the customer chose to get nothing")
	}
}

// draftData is what the templates see.
func (e *Engine) draftData(ctx context.Context, d Drafting, to *Recipient, l *letter, out *Draft) (*content.Data, error) {
	coupon := to.Coupon
	if coupon == nil && l.template.uses("coupon") && d.Revision.Bundle.Spec.Coupon != nil {
		spec := d.Revision.Bundle.Spec.Coupon
		coupon = map[string]any{"code": sampleCoupon, "pool": spec.Pool}
		if spec.ValidFor.Duration() > 0 {
			coupon["expires_at"] = e.clock.Now().Add(spec.ValidFor.Duration())
		}
		out.Notes = append(out.Notes, "the coupon is a sample: none was taken from pool "+spec.Pool)
	}
	if e.store != nil && l.template.uses("entry."+journey.EntryProductNow) {
		if err := addProducts(ctx, e.store, d.Ref.Namespace, []map[string]any{l.let}); err != nil {
			return nil, err
		}
	}
	data := d.Revision.data(to.Facts, l.let, coupon)
	what := l.template.recommend
	switch {
	case what == nil:
	case to.Recommended != nil || e.store == nil:
		data.Recommendations = to.Recommended
		if data.Recommendations == nil {
			data.Recommendations = []map[string]any{}
			out.Notes = append(out.Notes, "without a store nothing is recommended: write recommendations into the customer's file")
		}
	default:
		found, err := e.recommend(ctx, d.Ref.Namespace, d.Revision, what, []string{to.ID})
		if errors.Is(err, recommend.ErrNotReady) {
			out.Notes = append(out.Notes, "the manager has not worked out recommendations yet: the message shows none")
			found, err = map[string][]map[string]any{to.ID: {}}, nil
		}
		if err != nil {
			return nil, err
		}
		data.Recommendations = found[to.ID]
	}
	return data, nil
}

// draftMessage renders. What a customer lacks is filled, one value after the other, where that is wanted.
func (e *Engine) draftMessage(ctx context.Context, d Drafting, l *letter, data *content.Data, out *Draft) error {
	for range mostFilled {
		m, short, err := e.compose(ctx, data, d.Channel, l)
		if err == nil {
			out.Message, out.Short, out.Parts = m, short, l.parts
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var missing *content.MissingValueError
		if !errors.As(err, &missing) {
			out.skip(ReasonRenderFailed, err.Error())
			return nil
		}
		out.skip(ReasonMissingValue, err.Error())
		if !d.Fill || !fill(data, missing.Path) {
			return nil
		}
	}
	return nil
}

// fill makes a value up where a template missed one, without changing what the data was made of.
func fill(data *content.Data, path string) bool {
	names := strings.Split(path, ".")
	roots := map[string]*map[string]any{"customer": &data.Customer, "entry": &data.Entry, "coupon": &data.Coupon, "shop": &data.Shop}
	at, known := roots[names[0]]
	if !known || len(names) < 2 {
		return false
	}
	into := maps.Clone(*at)
	if into == nil {
		into = map[string]any{}
	}
	*at = into
	for _, name := range names[1 : len(names)-1] {
		inner, _ := into[name].(map[string]any)
		if inner = maps.Clone(inner); inner == nil {
			inner = map[string]any{}
		}
		into[name], into = inner, inner
	}
	last := names[len(names)-1]
	if into[last] != nil {
		return false
	}
	into[last] = "‹" + path + "›"
	return true
}

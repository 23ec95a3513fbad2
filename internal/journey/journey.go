// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
)

// Kind is what a step does.
type Kind string

// The kinds of steps.
const (
	KindEmail Kind = "email"
	KindLine  Kind = "line"
	KindSMS   Kind = "sms"
	// KindWebhook calls a system of the shop's.
	KindWebhook Kind = "webhook"
	KindExit    Kind = "exit"
	// KindUpdate and KindEnter are done in the transaction that decides them.
	KindUpdate Kind = "update"
	KindEnter  Kind = "enter"
)

// Way is how a message goes out.
type Way struct {
	Kind Kind
	// Channel is the ChannelConfig; of a webhook, see WebhookChannel. Empty where nothing goes out.
	Channel string
}

// Step is one compiled step.
type Step struct {
	Name string
	Way
	// Fallback is how another message goes out instead; nil for none.
	Fallback *Way
	// Enters is the scenario that the step enters.
	Enters string

	// Experiment tries variants of its content; nil where there is one content.
	Experiment *Experiment

	wait wait
	cond *condition
}

// Journey is a compiled Scenario.
type Journey struct {
	Steps []Step
	// Door decides who enters.
	Door *Door
	// Goal is what the journey is for; nil for nothing that is counted.
	Goal *crm.Goal
	// Calendar is whose day it is, where dates let in; else nil.
	Calendar *Calendar
	// News is of what news let in, where products' do; else nil.
	News *News

	loc           *time.Location
	exitOnGoal    bool
	exitOnSegment bool
	// occasion is the date that lets in, if one does.
	occasion DateKey
	byName   map[string]int
}

// Compile reads a bundle. What somebody has to change comes back as *Error.
func Compile(b Bundle) (*Journey, error) {
	loc, err := b.Shop.Location()
	if err != nil {
		return nil, &Error{Path: "ConfigMap " + crm.ShopConfigMap, Message: err.Error()}
	}
	env, err := newEnv()
	if err != nil {
		return nil, fmt.Errorf("preparing CEL: %w", err)
	}
	j := &Journey{Goal: b.Spec.Goal, loc: loc, byName: map[string]int{}}
	if j.Door, err = compileDoor(&b.Spec); err != nil {
		return nil, err
	}
	if t := b.Spec.Trigger.Date; t != nil {
		j.occasion = DateKey{t.Of, t.Attribute}
		if j.Calendar, err = compileCalendar(t, b.Shop); err != nil {
			return nil, err
		}
	}
	if g := b.Spec.Guardrails; g != nil && b.Spec.Trigger != (crm.Trigger{}) && b.Spec.Trigger.Schedule == nil {
		for field, set := range map[string]bool{"maxRecipientsPerRun": g.MaxRecipientsPerRun != 0, "maxGrowth": g.MaxGrowth != ""} {
			if set {
				return nil, &Error{Path: "spec.guardrails." + field, Message: "is about the runs of a schedule, and this trigger lets in one customer at a time: remove it, or use budget and abortOn"}
			}
		}
	}
	if t := b.Spec.Trigger.ProductEvent; t != nil {
		if j.News, err = compileNews(t, b.Shop); err != nil {
			return nil, err
		}
	}
	for _, reason := range b.Spec.ExitOn {
		j.exitOnGoal = j.exitOnGoal || reason == crm.ExitGoal
		j.exitOnSegment = j.exitOnSegment || reason == crm.ExitSegment
	}
	expiry := DateKey{Of: crm.DateCouponExpiry}
	kinds := map[string]Kind{}
	for i := range b.Spec.Steps {
		path := "spec.steps[" + strconv.Itoa(i) + "]"
		s, err := compileStep(&b.Spec.Steps[i], path)
		if err != nil {
			return nil, err
		}
		if text := b.Spec.Steps[i].If; text != "" {
			if s.cond, err = compileCondition(env, text, kinds); err != nil {
				return nil, &Error{Path: path + ".if", Message: err.Error()}
			}
			if s.cond.readsCoupon && b.Spec.Coupon == nil {
				return nil, &Error{Path: path + ".if", Message: "reads coupon, and there is none: set spec.coupon to a pool"}
			}
		}
		if u := s.wait.until; u != nil && *u == expiry && b.Spec.Coupon == nil {
			return nil, &Error{Path: path + ".wait.until", Message: "waits for a coupon to expire, and there is none: set spec.coupon to a pool"}
		}
		kinds[s.Name] = s.Kind
		j.byName[s.Name] = i
		j.Steps = append(j.Steps, s)
	}
	return j, nil
}

func compileStep(spec *crm.Step, path string) (Step, error) {
	s := Step{Name: spec.Name}
	message := spec.Message()
	switch {
	case message != nil:
		s.Way = wayOf(message)
	case spec.Webhook != nil:
		s.Way = Way{KindWebhook, WebhookChannel(spec.Webhook)}
	case spec.Exit != nil:
		s.Kind = KindExit
	case spec.Update != nil:
		s.Kind = KindUpdate
		for name := range spec.Update.Attributes {
			if slices.Contains(ownColumns, name) {
				return Step{}, &Error{Path: path + ".update.attributes", Message: name + " is no attribute that a step may write"}
			}
		}
	case spec.Enter != nil:
		s.Kind, s.Enters = KindEnter, string(spec.Enter.Scenario)
	default:
		return Step{}, &Error{Path: path, Message: "this kind of step is not built yet"}
	}
	if instead := spec.Instead(); instead != nil {
		way := wayOf(instead)
		if s.Fallback = &way; way == s.Way {
			return Step{}, &Error{Path: path + "." + string(s.Kind) + ".fallback", Message: "goes out through the channel that the step itself uses: name another one"}
		}
	}
	s.Experiment = experimentOf(spec)
	err := checkVariants(s.Experiment, path+"."+string(s.Kind))
	if err == nil {
		s.wait, err = compileWait(spec.Wait, path+".wait")
	}
	return s, err
}

func wayOf(m *crm.Fallback) Way {
	kind, channel := m.Through()
	return Way{Kind(kind), string(channel)}
}

// webhooks begins the names of the channels of webhooks. No ChannelConfig can have such a name.
const webhooks = "webhook:"

// WebhookChannel names the channel that webhooks with the same signature share.
func WebhookChannel(w *crm.WebhookStep) string {
	if s := w.SigningSecretRef; s != nil {
		return webhooks + string(s.Name) + "/" + s.Key
	}
	return webhooks
}

// Reaches tells whether the step can reach a customer whom these kinds of channels reach. A webhook is no matter of theirs.
func (s *Step) Reaches(ways []Kind) bool {
	return s.Kind == KindWebhook || slices.Contains(ways, s.Kind) || s.Fallback != nil && slices.Contains(ways, s.Fallback.Kind)
}

// ownColumns are what is known of a customer that is no attribute.
var ownColumns = []string{"id", "email", "phone", "line_user_id"}

// NeedsSteps says whether a condition asks what became of earlier steps.
func (j *Journey) NeedsSteps() bool {
	return j.any(func(c *condition) bool { return c.readsSteps })
}

// NeedsEntry says whether a condition reads what let the customer in.
func (j *Journey) NeedsEntry() bool {
	return j.acts() || j.occasion != (DateKey{}) || j.any(func(c *condition) bool { return c.readsEntry })
}

// NeedsProduct says whether a condition reads the product that let the customer in.
func (j *Journey) NeedsProduct() bool {
	return j.any(func(c *condition) bool { return c.readsProduct })
}

// NeedsCoupon says whether a condition, or what a step writes, reads the customer's coupon.
func (j *Journey) NeedsCoupon() bool {
	return j.acts() || j.any(func(c *condition) bool { return c.readsCoupon })
}

// NeedsCustomer says whether a condition reads the customer's attributes.
func (j *Journey) NeedsCustomer() bool {
	return j.acts() || j.any(func(c *condition) bool { return c.readsCustomer })
}

// acts tells whether a step does something that is made of what is known of the customer.
func (j *Journey) acts() bool {
	return slices.ContainsFunc(j.Steps, func(s Step) bool { return s.Kind == KindUpdate || s.Kind == KindEnter })
}

func (j *Journey) any(reads func(*condition) bool) bool {
	for i := range j.Steps {
		if c := j.Steps[i].cond; c != nil && reads(c) {
			return true
		}
	}
	return false
}

// Decides tells whether a variant may win.
func (j *Journey) Decides() bool {
	return slices.ContainsFunc(j.Steps, func(s Step) bool { return s.Experiment != nil && s.Experiment.Winner != nil })
}

// First are the steps that are due at once for who enters, and send something.
func (j *Journey) First() (out []*Step) {
	for i := range j.Steps {
		s := &j.Steps[i]
		if w := &s.wait; i > 0 && (w.length > 0 || w.until != nil || w.event != "" || w.at != nil || len(w.weekdays) > 0) {
			break
		}
		if s.Channel != "" {
			out = append(out, s)
		}
	}
	return out
}

// Predicts tells whether the next purchase that is predicted lets in, or ends a wait.
func (j *Journey) Predicts() bool {
	return slices.Contains(append(j.Dates(), j.occasion), DateKey{Of: crm.DateReplenishment})
}

// Channels are the ChannelConfigs that messages go through, those of fallbacks among them.
func (j *Journey) Channels() (names []string) {
	for i := range j.Steps {
		s := &j.Steps[i]
		if s.Channel != "" && s.Kind != KindWebhook {
			names = append(names, s.Channel)
		}
		if s.Fallback != nil {
			names = append(names, s.Fallback.Channel)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Step finds a step by its name.
func (j *Journey) Step(name string) (*Step, bool) {
	i, ok := j.byName[name]
	if !ok {
		return nil, false
	}
	return &j.Steps[i], true
}

// GoalEvent is the event that reaches the goal; empty where orders do, or there is none.
func (j *Journey) GoalEvent() string {
	if j.Goal == nil || j.Goal.Event == crm.EventOrderCompleted {
		return ""
	}
	return j.Goal.Event
}

// ExitsOnGoal says whether who reached the goal leaves.
func (j *Journey) ExitsOnGoal() bool { return j.exitOnGoal }

// ExitsWithSegment says whether who is not in the segment any more leaves.
func (j *Journey) ExitsWithSegment() bool { return j.exitOnSegment }

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
	KindExit  Kind = "exit"
	// KindUpdate and KindEnter are done in the transaction that decides them.
	KindUpdate Kind = "update"
	KindEnter  Kind = "enter"
)

// Step is one compiled step.
type Step struct {
	Name    string
	Kind    Kind
	Channel string
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
	j := &Journey{loc: loc, byName: map[string]int{}}
	if j.Door, err = compileDoor(&b.Spec); err != nil {
		return nil, err
	}
	if t := b.Spec.Trigger.Date; t != nil {
		j.occasion = DateKey{t.Of, t.Attribute}
		if j.Calendar, err = compileCalendar(t, b.Shop); err != nil {
			return nil, err
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
	switch {
	case spec.Email != nil:
		s.Kind, s.Channel = KindEmail, string(spec.Email.Channel)
	case spec.Line != nil:
		s.Kind, s.Channel = KindLine, string(spec.Line.Channel)
	case spec.SMS != nil:
		s.Kind, s.Channel = KindSMS, string(spec.SMS.Channel)
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
	s.Experiment = experimentOf(spec)
	err := checkVariants(s.Experiment, path+"."+string(s.Kind))
	if err == nil {
		s.wait, err = compileWait(spec.Wait, path+".wait")
	}
	return s, err
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

// Step finds a step by its name.
func (j *Journey) Step(name string) (*Step, bool) {
	i, ok := j.byName[name]
	if !ok {
		return nil, false
	}
	return &j.Steps[i], true
}

// ExitsOnGoal says whether who reached the goal leaves.
func (j *Journey) ExitsOnGoal() bool { return j.exitOnGoal }

// ExitsWithSegment says whether who is not in the segment any more leaves.
func (j *Journey) ExitsWithSegment() bool { return j.exitOnSegment }

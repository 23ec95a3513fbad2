// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"fmt"
	"strconv"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/schedule"
)

// Kind is what a step does.
type Kind string

// The kinds of steps.
const (
	KindEmail Kind = "email"
	KindLine  Kind = "line"
	KindSMS   Kind = "sms"
	KindExit  Kind = "exit"
)

// Step is one compiled step.
type Step struct {
	Name    string
	Kind    Kind
	Channel string

	waitFor time.Duration
	waitAt  *schedule.TimeOfDay
	cond    *condition
}

// Journey is a compiled Scenario.
type Journey struct {
	Steps []Step

	loc        *time.Location
	exitOnGoal bool
	byName     map[string]int
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
	for _, reason := range b.Spec.ExitOn {
		j.exitOnGoal = j.exitOnGoal || reason == crm.ExitGoal
	}
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
	default:
		return Step{}, &Error{Path: path, Message: "this kind of step is not built yet"}
	}
	if spec.Wait == nil {
		return s, nil
	}
	s.waitFor = spec.Wait.For.Duration()
	if spec.Wait.At != "" {
		at, err := schedule.ParseTimeOfDay(string(spec.Wait.At))
		if err != nil {
			return Step{}, &Error{Path: path + ".wait.at", Message: err.Error()}
		}
		s.waitAt = &at
	}
	return s, nil
}

// NeedsSteps says whether a condition asks what became of earlier steps.
func (j *Journey) NeedsSteps() bool {
	return j.any(func(c *condition) bool { return c.readsSteps })
}

// NeedsCustomer says whether a condition reads the customer's attributes.
func (j *Journey) NeedsCustomer() bool {
	return j.any(func(c *condition) bool { return c.readsCustomer })
}

func (j *Journey) any(reads func(*condition) bool) bool {
	for i := range j.Steps {
		if c := j.Steps[i].cond; c != nil && reads(c) {
			return true
		}
	}
	return false
}

// Step finds a step by its name.
func (j *Journey) Step(name string) (*Step, bool) {
	i, ok := j.byName[name]
	if !ok {
		return nil, false
	}
	return &j.Steps[i], true
}

// due is when s happens for who arrives at it at from.
func (s *Step) due(from time.Time, loc *time.Location) time.Time {
	at := from.Add(s.waitFor)
	if s.waitAt != nil {
		at = schedule.NextTimeOfDay(at, *s.waitAt, loc)
	}
	return at
}

// ExitsOnGoal says whether who reached the goal leaves.
func (j *Journey) ExitsOnGoal() bool { return j.exitOnGoal }

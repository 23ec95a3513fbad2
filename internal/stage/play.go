// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/store"
)

const (
	// before is when what the shop knows is imported: an order that comes later must not have come at
	// the same moment.
	before = time.Second
	// daily is how often predictions are made anew, which nobody asks to be called for.
	daily = 24 * time.Hour
	// restless is how often there may be something more to do at one moment.
	restless = 1000
)

// play goes from one moment at which something happens to the next.
func (s *stage) play(story *Story, dirs []string) {
	s.Helper()
	s.clock.SetTime(story.Begins.Add(-before).UTC())
	for _, i := range story.Imports {
		s.load(i)
	}
	s.clock.SetTime(story.Begins.UTC())
	s.apply(dirs)
	s.leaveIdle()
	day, rest := story.Begins.Add(daily), story.Then
	for {
		next := earlier(day, earlier(s.due, earlier(s.segments.next(), s.scenarios.next())))
		if len(rest) > 0 {
			next = earlier(next, rest[0].At)
		}
		if next.After(story.Until) {
			break
		}
		if now := s.clock.Now(); !next.After(now) {
			next = now.Add(time.Millisecond) // what comes after a moment that is over has a time of its own
		}
		s.clock.SetTime(next.UTC())
		eventful := !day.After(next)
		if eventful {
			day = day.Add(daily)
		}
		for ; len(rest) > 0 && !rest[0].At.After(next); rest = rest[1:] {
			s.perform(&rest[0])
			eventful = true
		}
		s.settle(eventful)
	}
	s.ready()
}

// settle does all there is to do at this moment. Where it is not eventful the engine is only asked if
// something comes of what the others do: most moments are refreshes of a segment that change nobody.
func (s *stage) settle(eventful bool) {
	s.Helper()
	eventful = eventful || !s.due.IsZero() && !s.due.After(s.clock.Now())
	for range restless {
		s.ok(s.follower.Step(s.ctx))
		for _, d := range []*desk{s.channels, s.segments, s.scenarios} {
			worked, err := d.work(s.ctx)
			s.ok(err)
			eventful = eventful || worked && d != s.segments
		}
		if !eventful && !s.awaits() {
			return
		}
		for _, ns := range s.engine.Recommending() {
			s.ok(s.keeper.CatchUp(s.ctx, ns))
		}
		busy, err := s.steps.Step(s.ctx)
		s.ok(err)
		if !busy && !s.channels.busy() && !s.segments.busy() && !s.scenarios.busy() {
			s.due, err = s.steps.Next(s.ctx)
			s.ok(err)
			return
		}
		eventful = true
	}
	s.Fatalf("%s: there is always something more to do", s.now())
}

// awaits tells whether there are facts that the engine has not decided about.
func (s *stage) awaits() (some bool) {
	s.Helper()
	s.ok(s.store.QueryRow(s.ctx, `SELECT EXISTS (SELECT 1 FROM arrivals) OR EXISTS (SELECT 1 FROM fanouts)`).Scan(&some))
	return some
}

// leaveIdle has most segments refreshed only when something else happens: it is an event by itself only
// where a Scenario listens to who comes and goes.
func (s *stage) leaveIdle() {
	s.Helper()
	var segments crm.SegmentList
	s.ok(s.client.List(s.ctx, &segments, client.InNamespace(namespace)))
	heard := map[string]bool{}
	rows, err := s.store.Query(s.ctx, `SELECT name FROM listeners WHERE ns = $1 AND kind IN ($2, $3)`, namespace, store.ListenSegment, store.ListenExit)
	s.ok(err)
	defer func() { s.ok(rows.Close()) }()
	for rows.Next() {
		var name string
		s.ok(rows.Scan(&name))
		heard[name] = true
	}
	s.ok(rows.Err())
	for range segments.Items { // as often as one may refer to another that does
		for i := range segments.Items {
			if heard[segments.Items[i].Name] {
				for _, name := range audience.References(&segments.Items[i].Spec) {
					heard[name] = true
				}
			}
		}
	}
	for i := range segments.Items {
		if name := segments.Items[i].Name; !heard[name] {
			s.segments.idle[types.NamespacedName{Namespace: namespace, Name: name}] = true
		}
	}
}

// ready fails where a resource is not what a user waits for.
func (s *stage) ready() {
	s.Helper()
	if wrong := s.unready(); len(wrong) > 0 {
		s.Fatalf("%s: what is not ready cannot be played:\n%s", s.now(), strings.Join(wrong, "\n"))
	}
}

// unready tells of the resources that are not, and why.
func (s *stage) unready() (wrong []string) {
	s.Helper()
	var channels crm.ChannelConfigList
	var segments crm.SegmentList
	var scenarios crm.ScenarioList
	for _, list := range []client.ObjectList{&channels, &segments, &scenarios} {
		s.ok(s.client.List(s.ctx, list, client.InNamespace(namespace)))
	}
	check := func(kind string, o metav1.ObjectMeta, conditions []metav1.Condition) {
		switch c := meta.FindStatusCondition(conditions, crm.ConditionReady); {
		case c == nil || c.ObservedGeneration != o.Generation:
			wrong = append(wrong, fmt.Sprintf("%s %s was not looked at", kind, o.Name))
		case c.Status != metav1.ConditionTrue:
			wrong = append(wrong, fmt.Sprintf("%s %s: %s: %s", kind, o.Name, c.Reason, c.Message))
		}
	}
	for i := range channels.Items {
		check("ChannelConfig", channels.Items[i].ObjectMeta, channels.Items[i].Status.Conditions)
	}
	for i := range segments.Items {
		check("Segment", segments.Items[i].ObjectMeta, segments.Items[i].Status.Conditions)
	}
	for i := range scenarios.Items {
		check("Scenario", scenarios.Items[i].ObjectMeta, scenarios.Items[i].Status.Conditions)
	}
	return wrong
}

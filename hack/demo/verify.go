// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// settle is how long the last orders and callbacks may take to come through.
const settle = 90 * time.Second

// verify holds the status that Kaeru writes against what the doubles received and what the
// customers did.
func (d *demo) verify(ctx context.Context) error {
	if err := d.people.receive(ctx); err != nil {
		return err
	}
	var wrong []string
	for until := time.Now().Add(settle); ; {
		var err error
		if wrong, err = d.check(ctx); err != nil {
			return err
		}
		if len(wrong) == 0 || time.Now().After(until) {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	again, err := d.reapply(ctx)
	if err != nil {
		return err
	}
	if wrong = append(wrong, again...); len(wrong) > 0 {
		return errors.New("not all of it is right:\n  - " + strings.Join(wrong, "\n  - "))
	}
	return nil
}

// check names all that is wrong.
func (d *demo) check(ctx context.Context) ([]string, error) {
	f := &findings{}
	scenarios, err := list[crm.ScenarioList](ctx, d, "scenarios")
	if err != nil {
		return nil, err
	}
	if err := d.checkReady(ctx, f, scenarios); err != nil {
		return nil, err
	}
	if err := d.checkJobs(ctx, f); err != nil {
		return nil, err
	}
	if err := d.checkArrivals(ctx, f); err != nil {
		return nil, err
	}
	want, err := d.expect(ctx)
	if err != nil {
		return nil, err
	}
	for i := range scenarios.Items {
		d.checkScenario(f, &scenarios.Items[i], want)
	}
	return f.wrong, d.checkEnds(ctx, f)
}

type findings struct{ wrong []string }

func (f *findings) add(format string, args ...any) {
	if len(f.wrong) < 20 {
		f.wrong = append(f.wrong, fmt.Sprintf(format, args...))
	}
}

func (f *findings) equal(what string, got, want int64) {
	if got != want {
		f.add("%s is %d, and %d is right", what, got, want)
	}
}

func list[T any](ctx context.Context, d *demo, kind string) (T, error) {
	var out T
	text, err := d.kubectl(ctx, "get", kind, "-n", namespace, "-o", "json")
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return out, fmt.Errorf("read kubectl get %s: %w", kind, err)
	}
	return out, nil
}

func (d *demo) checkReady(ctx context.Context, f *findings, scenarios crm.ScenarioList) error {
	for i := range scenarios.Items {
		s := &scenarios.Items[i]
		if !meta.IsStatusConditionTrue(s.Status.Conditions, crm.ConditionReady) || s.Status.ObservedGeneration != s.Generation {
			f.add("Scenario %s is not Ready", s.Name)
		}
	}
	segments, err := list[crm.SegmentList](ctx, d, "segments")
	if err != nil {
		return err
	}
	for i := range segments.Items {
		if s := &segments.Items[i]; !meta.IsStatusConditionTrue(s.Status.Conditions, crm.ConditionReady) {
			f.add("Segment %s is not Ready", s.Name)
		}
	}
	configs, err := list[crm.ChannelConfigList](ctx, d, "channelconfigs")
	if err != nil {
		return err
	}
	for i := range configs.Items {
		if c := &configs.Items[i]; !meta.IsStatusConditionTrue(c.Status.Conditions, crm.ConditionReady) {
			f.add("ChannelConfig %s is not Ready", c.Name)
		}
	}
	if len(scenarios.Items) != 2 || len(segments.Items) != 4 || len(configs.Items) != 3 {
		f.add("there are %d Scenarios, %d Segments and %d ChannelConfigs, not 2, 4 and 3", len(scenarios.Items), len(segments.Items), len(configs.Items))
	}
	return nil
}

func (d *demo) checkJobs(ctx context.Context, f *findings) error {
	jobs, err := list[batchv1.JobList](ctx, d, "jobs")
	if err != nil {
		return err
	}
	of := map[string]int{}
	for i := range jobs.Items {
		job := &jobs.Items[i]
		complete := false
		for _, c := range job.Status.Conditions {
			complete = complete || c.Type == batchv1.JobComplete && c.Status == corev1.ConditionTrue
		}
		if !complete {
			f.add("Job %s is not Complete", job.Name)
		}
		of[job.Labels[crm.LabelScenario]]++
	}
	// Of the five runs of the daily scenario, the history keeps the last ones.
	history := int((*crm.Dispatch)(nil).SuccessfulJobsHistoryLimitOrDefault())
	f.equal("the number of second-purchase's Jobs", int64(of["second-purchase"]), int64(min(runs, history)))
	f.equal("the number of winter-letter's Jobs", int64(of["winter-letter"]), 1)
	return nil
}

// checkArrivals looks for messages that nobody should have got.
func (d *demo) checkArrivals(ctx context.Context, f *findings) error {
	for _, s := range d.people.strange {
		f.add("%s", s)
	}
	stats, err := d.api.Stats(ctx)
	if err != nil {
		return err
	}
	for channel, s := range stats.Channels {
		f.equal("the number of "+channel+" messages that arrived twice", int64(s.Duplicates), 0)
	}
	type once struct {
		step *step
		who  *customer
	}
	seen := map[once]bool{}
	for _, a := range d.people.arrivals {
		if seen[once{a.step, a.who}] {
			f.add("%s got step %s twice", a.who.id, a.step)
		}
		seen[once{a.step, a.who}] = true
		left, gone := d.people.left[[2]string{a.step.channel, a.who.id}]
		switch {
		case !a.who.consent[a.step.channel]:
			f.add("%s got step %s without having consented to it", a.who.id, a.step)
		case gone && a.at.After(left.Add(time.Hour)):
			f.add("%s got step %s after unsubscribing", a.who.id, a.step)
		}
	}
	return nil
}

// expected is what a Scenario's status has to say.
type expected struct {
	enrolled, converted map[string]int64
	steps               map[string]*crm.StepStatus
	total               map[string]int64
}

func (d *demo) expect(ctx context.Context) (*expected, error) {
	want := &expected{enrolled: map[string]int64{}, converted: map[string]int64{}, steps: map[string]*crm.StepStatus{}, total: map[string]int64{}}
	for _, s := range steps {
		want.steps[s.String()] = &crm.StepStatus{Name: s.name}
	}
	last := map[*customer][]*arrival{}
	for _, a := range d.people.arrivals {
		s := want.steps[a.step.String()]
		s.Sent++
		if a.opened {
			s.Opened++
		}
		if a.clicked {
			s.Clicked++
		}
		last[a.who] = append(last[a.who], a)
	}
	var err error
	if want.steps["second-purchase/last-call"].Delivered, err = d.deliveredSMS(ctx); err != nil {
		return nil, err
	}
	for _, o := range d.people.bought {
		var credited *arrival
		for _, a := range last[o.who] {
			if a.step.scenario == "second-purchase" && !a.at.After(o.placed) {
				credited = a // arrivals are in the order of their time
			}
		}
		if credited == nil {
			return nil, fmt.Errorf("order %s was placed by somebody who had received nothing", o.id)
		}
		want.steps[credited.step.String()].Converted++
		want.converted[credited.step.scenario]++
		want.total[credited.step.scenario] += o.total
	}
	// Each run enrols who is in the segment then; who bought meanwhile is not.
	everybody := map[*customer]bool{}
	for run := range runs {
		for _, c := range d.shop.candidates(slot(run)) {
			everybody[c] = true
		}
	}
	want.enrolled["second-purchase"] = int64(len(everybody))
	review := want.steps["second-purchase/review-request"]
	for c := range everybody {
		switch {
		case !c.consent["email"]:
			review.Skipped++
		case c.gone["email"] != "":
			review.Failed++
		}
	}
	return want, nil
}

func (d *demo) deliveredSMS(ctx context.Context) (int64, error) {
	stats, err := d.api.Stats(ctx)
	if err != nil {
		return 0, err
	}
	return int64(stats.Channels["sms"].Statuses["delivered"]), nil
}

func (d *demo) checkScenario(f *findings, s *crm.Scenario, want *expected) {
	if s.Status.Enrolled == nil || len(s.Status.Steps) == 0 {
		f.add("%s has no status.enrolled or no status.steps", s.Name)
		return
	}
	if n, known := want.enrolled[s.Name]; known {
		f.equal(s.Name+" status.enrolled", *s.Status.Enrolled, n)
	}
	first := &s.Status.Steps[0]
	f.equal(s.Name+"/"+first.Name+" sent, failed and skipped together", first.Sent+first.Failed+first.Skipped, *s.Status.Enrolled)
	if s.Status.Goal != nil {
		f.equal(s.Name+" status.goal.converted", s.Status.Goal.Converted, want.converted[s.Name])
		if revenue := fmt.Sprint(want.total[s.Name]); s.Status.Goal.Revenue != revenue {
			f.add("%s status.goal.revenue is %s, and %s is right", s.Name, s.Status.Goal.Revenue, revenue)
		}
	}
	if len(s.Status.Active) > 0 {
		f.add("%s still has the Job %s under way", s.Name, s.Status.Active[0].Name)
	}
	for i := range s.Status.Steps {
		got := &s.Status.Steps[i]
		name := s.Name + "/" + got.Name
		right := want.steps[name]
		if right == nil {
			f.add("status tells of a step %s, which nobody knows", name)
			continue
		}
		f.equal(name+" sent", got.Sent, right.Sent)
		f.equal(name+" opened", got.Opened, right.Opened)
		f.equal(name+" clicked", got.Clicked, right.Clicked)
		f.equal(name+" converted", got.Converted, right.Converted)
		f.equal(name+" pending", got.Pending, 0)
		f.equal(name+" unknown", got.Unknown, 0)
		f.equal(name+" cancelled", got.Cancelled, 0)
		if right.Sent == 0 {
			f.add("%s was sent to nobody", name)
		}
		switch name {
		case "second-purchase/review-request":
			f.equal(name+" skipped", got.Skipped, right.Skipped)
			f.equal(name+" failed", got.Failed, right.Failed)
		case "second-purchase/last-call":
			f.equal(name+" delivered", got.Delivered, right.Delivered)
		}
	}
}

// checkEnds reads the outbox itself: what did not go out says why, and only what could not fails.
func (d *demo) checkEnds(ctx context.Context, f *findings) (err error) {
	st, err := store.Open(ctx, d.store())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	rows, err := st.Query(ctx, `SELECT step, kind, state, reason, customer_id FROM messages WHERE ns = $1 AND state <> 'sent'`, namespace)
	if err != nil {
		return fmt.Errorf("read the outbox: %w", err)
	}
	defer func() { _ = rows.Close() }()
	byID := map[string]*customer{}
	for _, c := range d.shop.customers {
		byID[c.id] = c
	}
	for rows.Next() {
		var step, kind, state, reason, id string
		if err := rows.Scan(&step, &kind, &state, &reason, &id); err != nil {
			return fmt.Errorf("read the outbox: %w", err)
		}
		switch {
		case reason == "":
			f.add("the message of step %s to %s is %s without a reason", step, id, state)
		case state == "failed" && byID[id].gone[kind] == "":
			f.add("the message of step %s to %s failed (%s), and there is nothing wrong with the address", step, id, reason)
		}
	}
	return rows.Err()
}

// reapply applies the samples once more and says what that changed: nothing is right.
func (d *demo) reapply(ctx context.Context) ([]string, error) {
	before, err := d.versions(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := d.kubectl(ctx, "apply", "--server-side", "-k", d.overlayDir()); err != nil {
		return nil, err
	}
	after, err := d.versions(ctx)
	if err != nil {
		return nil, err
	}
	f := &findings{}
	for what, version := range before {
		if after[what] != version {
			f.add("applying the samples again changed %s from version %s to %s", what, version, after[what])
		}
	}
	return f.wrong, nil
}

// versions are the generations of what has one, and the resource versions of the rest.
func (d *demo) versions(ctx context.Context) (map[string]string, error) {
	text, err := d.kubectl(ctx, "get", "channelconfigs,segments,scenarios,configmaps,secrets", "-n", namespace, "-o",
		`jsonpath={range .items[*]}{.kind}/{.metadata.name} {.metadata.generation} {.metadata.resourceVersion}{"\n"}{end}`)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		// Without a generation there are two words.
		if words := strings.Fields(line); len(words) > 1 {
			out[words[0]] = words[1]
		}
	}
	return out, nil
}

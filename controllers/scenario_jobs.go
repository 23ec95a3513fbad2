// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
)

// runs brings the Jobs of the Scenario's runs to where the runs are. It returns when to look again
// where something is being waited for that does not wake the Scenario.
func (r *ScenarioReconciler) runs(ctx context.Context, scenario *crm.Scenario) (time.Time, error) {
	ref := dispatch.Ref{Namespace: scenario.Namespace, Name: scenario.Name}
	runs, err := r.Engine.Runs(ctx, ref)
	if err != nil {
		return time.Time{}, err
	}
	scenario.Status.Active = nil
	var soon time.Time
	for _, run := range runs {
		if run.State != dispatch.RunComplete && run.State != dispatch.RunCancelled {
			scenario.Status.Active = append(scenario.Status.Active, crm.ActiveJob{Name: run.Name})
		}
		if run.State == dispatch.RunEnrolling || run.State == dispatch.RunHeld || run.State == dispatch.RunPlanning {
			continue // the engine tells when it is planned, and then it gets its Job
		}
		again, err := r.job(ctx, scenario, ref, run)
		if err != nil {
			return time.Time{}, err
		}
		soon = earlier(soon, again)
	}
	r.guardrails(scenario, runs)
	return soon, r.trim(ctx, scenario)
}

// guardrails says whether the last run passed them, with the numbers.
func (r *ScenarioReconciler) guardrails(scenario *crm.Scenario, runs []dispatch.Run) {
	to := conditions{&scenario.Status.Conditions, scenario.Generation}
	reason, message := crm.ReasonGuardrailsPassed, "nothing is held"
	if held := r.Engine.Guarded(dispatch.Ref{Namespace: scenario.Namespace, Name: scenario.Name}); held != "" {
		reason, message = crm.ReasonGuardrailsHeld, "what no run carries is held: "+held+"; a commit that allows it lets it go on"
	}
	for _, run := range runs {
		switch {
		case run.State == dispatch.RunHeld:
			reason = crm.ReasonGuardrailsHeld
			message = fmt.Sprintf("run %s is held before its first message: %s; a commit that allows it lets it go on until startingDeadline", run.Name, run.Reason)
		case run.Reason != "" && reason == crm.ReasonGuardrailsPassed:
			reason, message = crm.ReasonGuardrailsStopped, fmt.Sprintf("run %s was %s", run.Name, run.Reason)
		}
	}
	if scenario.Spec.Guardrails == nil && reason == crm.ReasonGuardrailsPassed {
		to.remove(crm.ConditionGuardrailsPassed)
		return
	}
	was := meta.FindStatusCondition(scenario.Status.Conditions, crm.ConditionGuardrailsPassed)
	if reason != crm.ReasonGuardrailsPassed && (was == nil || was.Message != message) {
		r.Recorder.Eventf(scenario, nil, "Warning", reason, "Guardrails", "%s", note(message))
	}
	to.set(crm.ConditionGuardrailsPassed, reason == crm.ReasonGuardrailsPassed, reason, message)
}

// job makes a run's Job, and writes the run's progress into it.
func (r *ScenarioReconciler) job(ctx context.Context, scenario *crm.Scenario, ref dispatch.Ref, run dispatch.Run) (again time.Time, err error) {
	var job batchv1.Job
	err = r.Live.Get(ctx, types.NamespacedName{Namespace: ref.Namespace, Name: run.Name}, &job)
	switch {
	case apierrors.IsNotFound(err):
		if run.State != dispatch.RunPlanned && run.State != dispatch.RunRunning {
			return time.Time{}, nil // it ended, and its Job was collected
		}
		if job, err = r.createJob(ctx, scenario, run); err != nil {
			return time.Time{}, err
		}
	case err != nil:
		return time.Time{}, fmt.Errorf("reading Job %s: %w", run.Name, err)
	case !metav1.IsControlledBy(&job, scenario):
		if job.Labels[crm.LabelScenario] != scenario.Name || job.Labels[labelManagedBy] != managedByKaeru {
			return time.Time{}, stalled(crm.ReasonJobNotOurs, "Job %q exists and is not this Scenario's: delete or rename it", run.Name)
		}
		// It belonged to a Scenario of this name that was deleted, and is being collected.
		return r.Clock.Now().Add(time.Second), nil
	}
	if run.State == dispatch.RunPlanned {
		if err := r.Engine.Open(ctx, ref, run.Name); err != nil {
			return time.Time{}, err
		}
	}
	if job.Spec.ManagedBy == nil {
		return r.overseen(ctx, scenario, &job, ref, run)
	}
	return time.Time{}, r.writeProgress(ctx, scenario, &job, ref, run)
}

// writeProgress keeps the status of a Job that no pod works on, as the Job controller would.
func (r *ScenarioReconciler) writeProgress(ctx context.Context, scenario *crm.Scenario, job *batchv1.Job, ref dispatch.Ref, run dispatch.Run) error {
	if finished(job) {
		return nil // terminal conditions rule
	}
	done, err := r.Engine.DoneShards(ctx, ref, run.Name)
	if err != nil {
		return err
	}
	suspended := isSuspended(job)
	if suspended || slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool { return c.Type == batchv1.JobSuspended }) {
		if err := r.Engine.Suspend(ctx, ref, run.Name, suspended); err != nil {
			return err
		}
	}
	before := job.DeepCopy()
	s := &job.Status
	now := metav1.Now().Rfc3339Copy()
	suspension(s, suspended, now)
	if s.StartTime == nil {
		s.StartTime = &now
	}
	completions := int(*job.Spec.Completions)
	s.CompletedIndexes, s.Succeeded = "", 0
	if len(done) > 0 {
		s.CompletedIndexes, s.Succeeded = ranges(done), int32(len(done))
	}
	s.Active = int32(min(int(*job.Spec.Parallelism), completions-len(done)))
	if suspended {
		s.Active = 0
	}
	if run.State == dispatch.RunComplete || run.State == dispatch.RunCancelled {
		finish(job, run, now, completions)
	}
	s.Ready = ptrTo(s.Active)
	if equality.Semantic.DeepEqual(before.Status, job.Status) {
		return nil
	}
	if err := r.Status().Patch(ctx, job, client.MergeFrom(before), client.FieldOwner(crm.FieldOwner)); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("writing the status of Job %s: %w", job.Name, err))
	}
	if run.State == dispatch.RunComplete {
		r.Recorder.Eventf(scenario, job, "Normal", crm.ReasonRunCompleted, "Dispatch", "run %s is complete", run.Name)
	}
	return nil
}

// suspension says that a Job is suspended, or was.
func suspension(s *batchv1.JobStatus, suspended bool, now metav1.Time) {
	i := slices.IndexFunc(s.Conditions, func(c batchv1.JobCondition) bool { return c.Type == batchv1.JobSuspended })
	if i < 0 && !suspended {
		return
	}
	c := batchv1.JobCondition{
		Type: batchv1.JobSuspended, Status: corev1.ConditionTrue, LastProbeTime: now, LastTransitionTime: now,
		Reason: "JobSuspended", Message: "spec.suspend is set: what has not been sent waits",
	}
	if !suspended {
		c.Status, c.Reason, c.Message = corev1.ConditionFalse, "JobResumed", "spec.suspend is not set any more"
	}
	switch {
	case i < 0:
		s.Conditions = append(s.Conditions, c)
	case s.Conditions[i].Status != c.Status:
		s.Conditions[i] = c
	}
}

// finish writes the end of a Job: complete, or failed because its Scenario was cancelled.
func finish(job *batchv1.Job, run dispatch.Run, now metav1.Time, completions int) {
	s := &job.Status
	s.Active = 0
	add := func(kind batchv1.JobConditionType, reason, message string) {
		s.Conditions = append(s.Conditions, batchv1.JobCondition{
			Type: kind, Status: corev1.ConditionTrue, Reason: reason, Message: message, LastProbeTime: now, LastTransitionTime: now,
		})
	}
	if run.State == dispatch.RunCancelled {
		message := "the Scenario was deleted"
		add(batchv1.JobFailureTarget, crm.ReasonCancelledByDel, message)
		add(batchv1.JobFailed, crm.ReasonCancelledByDel, message)
		return
	}
	// A run without messages has no shard, and its Job one index all the same.
	all := make([]int, completions)
	for i := range all {
		all[i] = i
	}
	s.CompletedIndexes, s.Succeeded, s.CompletionTime = ranges(all), int32(completions), &now
	add(batchv1.JobSuccessCriteriaMet, batchv1.JobReasonCompletionsReached, "all messages have come to an end")
	add(batchv1.JobComplete, batchv1.JobReasonCompletionsReached, "all messages have come to an end")
}

func finished(job *batchv1.Job) bool {
	return jobIs(job, batchv1.JobComplete) || jobIs(job, batchv1.JobFailed)
}

func jobIs(job *batchv1.Job, kind batchv1.JobConditionType) bool {
	return slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return c.Type == kind && c.Status == corev1.ConditionTrue
	})
}

// ranges writes sorted indexes as a Job does: "0-3,5".
func ranges(done []int) string {
	var b strings.Builder
	for i := 0; i < len(done); {
		k := i
		for k+1 < len(done) && done[k+1] == done[k]+1 {
			k++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(done[i]))
		if k > i {
			b.WriteByte('-')
			b.WriteString(strconv.Itoa(done[k]))
		}
		i = k + 1
	}
	return b.String()
}

// trim deletes finished Jobs beyond the history limits, oldest first.
func (r *ScenarioReconciler) trim(ctx context.Context, scenario *crm.Scenario) error {
	var list batchv1.JobList
	if err := r.List(ctx, &list, client.InNamespace(scenario.Namespace), client.MatchingLabels{crm.LabelScenario: scenario.Name}); err != nil {
		return fmt.Errorf("listing Jobs: %w", err)
	}
	slices.SortFunc(list.Items, func(a, b batchv1.Job) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), strings.Compare(b.Name, a.Name))
	})
	keep := map[batchv1.JobConditionType]int32{
		batchv1.JobComplete: scenario.Spec.Dispatch.SuccessfulJobsHistoryLimitOrDefault(),
		batchv1.JobFailed:   scenario.Spec.Dispatch.FailedJobsHistoryLimitOrDefault(),
	}
	for i := range list.Items {
		job := &list.Items[i]
		if !metav1.IsControlledBy(job, scenario) {
			continue
		}
		for kind := range keep {
			if !jobIs(job, kind) {
				continue
			}
			if keep[kind]--; keep[kind] < 0 {
				err := r.Delete(ctx, job, client.PropagationPolicy(metav1.DeletePropagationBackground))
				if client.IgnoreNotFound(err) != nil {
					return fmt.Errorf("deleting Job %s: %w", job.Name, err)
				}
			}
		}
	}
	return nil
}

func ptrTo[T any](v T) *T { return &v }

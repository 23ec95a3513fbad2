// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// ScenarioReconciler arms Scenarios, fires their slots, carries their runs in Jobs, and reports.
type ScenarioReconciler struct {
	client.Client
	// Live reads from the API server itself: what must not be stale, or must not be cached.
	Live     client.Reader
	Recorder events.EventRecorder
	Clock    clock.PassiveClock
	Store    *store.Store
	Engine   *dispatch.Engine
	Compiler *content.Compiler
	Segments SegmentRefresher
	// Channels can be asked what their providers think of messages.
	Channels *dispatch.Channels
	Webhooks *WebhookSenders
	// Workers are the pods of Jobs.
	Workers Workers

	validated verdicts
}

// +kubebuilder:rbac:groups=crm.kaeru.dev,resources=scenarios,verbs=get;list;watch
// +kubebuilder:rbac:groups=crm.kaeru.dev,resources=scenarios/status,verbs=get;patch;update
// +kubebuilder:rbac:groups=crm.kaeru.dev,resources=scenarios/finalizers,verbs=update
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=get;list;watch;create;delete;patch
// +kubebuilder:rbac:groups=batch,resources=jobs/status,verbs=get;patch;update
// +kubebuilder:rbac:groups=apps,resources=controllerrevisions,verbs=get;list;watch;create;delete
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=serviceaccounts,verbs=get
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Reconcile brings one Scenario to where its spec and the clock say.
func (r *ScenarioReconciler) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, err error) {
	ref := dispatch.Ref{Namespace: req.Namespace, Name: req.Name}
	var scenario crm.Scenario
	if err := r.Get(ctx, req.NamespacedName, &scenario); err != nil {
		if apierrors.IsNotFound(err) {
			return ctrl.Result{}, r.cancel(ctx, ref)
		}
		return ctrl.Result{}, err
	}
	if !scenario.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, r.cancel(ctx, ref)
	}

	before := scenario.DeepCopy()
	defer func() {
		patched := patchStatus(ctx, r.Client, before, &scenario, &before.Status, &scenario.Status)
		err = errors.Join(err, patched)
	}()
	status := &scenario.Status
	to := conditions{&status.Conditions, scenario.Generation}
	status.ObservedGeneration = scenario.Generation
	if asked := scenario.Annotations[crm.AnnotationRequestedAt]; asked != "" {
		status.LastHandledRequest = asked
	}

	next, again, err := r.reconcile(ctx, &scenario)
	if err != nil {
		to.failed(err)
		if terminal(err) || isWaiting(err) {
			r.Engine.Disarm(ref)
			if before.Status.ObservedGeneration != scenario.Generation || !sameReady(before.Status.Conditions, status.Conditions) {
				r.Recorder.Eventf(&scenario, nil, "Warning", readyReason(status.Conditions), "Reconcile", "%s", err.Error())
			}
			// What started before the spec became invalid goes on, and is reported.
			_, reportErr := r.runs(ctx, &scenario)
			return ctrl.Result{}, errors.Join(reportErr, r.report(ctx, &scenario, nil))
		}
		return ctrl.Result{}, err
	}
	after := r.after(next)
	if again > 0 && (after == 0 || after > again) {
		after = again
	}
	return ctrl.Result{RequeueAfter: after}, nil
}

// reconcile is the list of phases. It returns when there is something to do by the clock alone, and after how
// long, on machine time, a provider is to be asked again.
func (r *ScenarioReconciler) reconcile(ctx context.Context, scenario *crm.Scenario) (next time.Time, again time.Duration, err error) {
	if err := unsupported(scenario.Spec.UnsupportedFields()); err != nil {
		return time.Time{}, 0, err
	}
	a, err := r.resolve(ctx, scenario)
	if err != nil {
		return time.Time{}, 0, err
	}
	doubt, again, err := r.validate(ctx, scenario, a)
	if err != nil {
		return time.Time{}, 0, err
	}
	plan, err := r.schedule(scenario, a)
	if err != nil {
		return time.Time{}, 0, err
	}
	if err := r.keepRevision(ctx, scenario, a); err != nil {
		return time.Time{}, 0, err
	}
	if err := r.Engine.Arm(ctx, *a); err != nil {
		return time.Time{}, 0, err
	}
	if next, err = r.slots(ctx, scenario, a, plan); err != nil {
		return time.Time{}, 0, err
	}
	soon, err := r.runs(ctx, scenario)
	if err != nil {
		return time.Time{}, 0, err
	}
	if err := r.report(ctx, scenario, a); err != nil {
		return time.Time{}, 0, err
	}
	r.armed(scenario, next, doubt)
	return earlier(next, soon), again, nil
}

// armed says that the Scenario is accepted, and when it runs next.
func (r *ScenarioReconciler) armed(scenario *crm.Scenario, next time.Time, doubt string) {
	to := conditions{&scenario.Status.Conditions, scenario.Generation}
	if scenario.Spec.Suspend {
		scenario.Status.NextRun = nil
		to.ready(crm.ReasonSuspended, "suspended: nobody enters; what has started goes on")
		return
	}
	scenario.Status.NextRun = metaTime(next)
	message := "armed"
	switch t := scenario.Spec.Trigger; {
	case t.SegmentEntry != nil:
		message = "armed; lets in who enters the segment"
	case t.Date != nil:
		message = "armed; lets in each day those whose day it is"
	case t.ProductEvent != nil:
		message = "armed; lets in whom it concerns at each " + t.ProductEvent.Name
	case t.Event != nil:
		message = "armed; lets in at each " + t.Event.Name
	case next.IsZero():
		message = "armed; the schedule has no slot any more"
	}
	if doubt != "" {
		message += "; " + doubt
	}
	to.ready(crm.ReasonArmed, message)
}

// cancel ends what a Scenario that is gone has not sent. It needs no finalizer: the engine asks for
// it at every start for what was deleted while nobody looked.
func (r *ScenarioReconciler) cancel(ctx context.Context, ref dispatch.Ref) error {
	n, err := r.Engine.Cancel(ctx, ref)
	if err == nil && n > 0 {
		ctrl.LoggerFrom(ctx).Info("Scenario was deleted, unsent messages are cancelled", "messages", n)
	}
	return err
}

// after is the machine time to wait until a business moment.
func (r *ScenarioReconciler) after(next time.Time) time.Duration { return wait(r.Clock, next) }

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/journey"
)

// SegmentReconciler keeps the membership of Segments up to date.
type SegmentReconciler struct {
	client.Client
	Live     client.Reader
	Recorder events.EventRecorder
	Clock    clock.PassiveClock
	Audience *audience.Refresher
	// behind has the Segments that are to be refreshed before their interval is over.
	behind sync.Map
}

// Behind makes the next reconciliation of a Segment refresh it.
func (r *SegmentReconciler) Behind(namespace, name string) {
	r.behind.Store(types.NamespacedName{Namespace: namespace, Name: name}, true)
}

// +kubebuilder:rbac:groups=crm.kaeru.dev,resources=segments,verbs=get;list;watch
// +kubebuilder:rbac:groups=crm.kaeru.dev,resources=segments/status,verbs=get;patch;update

// Reconcile brings one Segment to where its spec, its interval and its customers say.
func (r *SegmentReconciler) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, err error) {
	var segment crm.Segment
	if err := r.Get(ctx, req.NamespacedName, &segment); err != nil {
		if apierrors.IsNotFound(err) {
			return ctrl.Result{}, r.Audience.Delete(ctx, req.Namespace, req.Name)
		}
		return ctrl.Result{}, err
	}
	if !segment.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}

	before := segment.DeepCopy()
	defer func() {
		err = errors.Join(err, patchStatus(ctx, r.Client, before, &segment, &before.Status, &segment.Status))
	}()
	status := &segment.Status
	to := conditions{&status.Conditions, segment.Generation}
	status.ObservedGeneration = segment.Generation

	next, err := r.reconcile(ctx, &segment)
	if err != nil {
		to.failed(err)
		to.set(crm.ConditionFresh, false, readyReason(status.Conditions), "the members are those of the last refresh that succeeded")
		if terminal(err) || isWaiting(err) {
			if !sameReady(before.Status.Conditions, status.Conditions) {
				r.Recorder.Eventf(&segment, nil, "Warning", readyReason(status.Conditions), "Refresh", "%s", err.Error())
			}
			return ctrl.Result{}, nil // what is missing wakes the Segment when it comes
		}
		return ctrl.Result{}, err
	}
	status.LastHandledRequest = segment.Annotations[crm.AnnotationRequestedAt]
	return ctrl.Result{RequeueAfter: wait(r.Clock, next)}, nil
}

// reconcile is the list of phases. It returns when the next refresh is due.
func (r *SegmentReconciler) reconcile(ctx context.Context, segment *crm.Segment) (next time.Time, err error) {
	if err := unsupported(segment.Spec.UnsupportedFields()); err != nil {
		return time.Time{}, err
	}
	shop, err := readShop(ctx, r.Live, segment.Namespace)
	if err != nil {
		return time.Time{}, err
	}
	if err := r.checkReferences(ctx, segment); err != nil {
		return time.Time{}, err
	}
	to := conditions{&segment.Status.Conditions, segment.Generation}
	state, known, err := r.Audience.State(ctx, segment.Namespace, segment.Name)
	if err != nil {
		return time.Time{}, err
	}
	if segment.Spec.Suspend {
		if err := r.Audience.Suspend(ctx, segment.Namespace, segment.Name); err != nil {
			return time.Time{}, err
		}
		r.report(segment, state, known)
		to.set(crm.ConditionFresh, false, crm.ReasonSuspended, "refreshes are suspended")
		to.ready(crm.ReasonSuspended, "suspended: the members stay as they are")
		return time.Time{}, nil
	}
	hash, err := audience.SpecHash(&segment.Spec, audienceShop(shop))
	if err != nil {
		return time.Time{}, err
	}
	asked := segment.Annotations[crm.AnnotationRequestedAt] != segment.Status.LastHandledRequest
	interval := segment.Spec.RefreshIntervalOrDefault()
	_, behind := r.behind.LoadAndDelete(client.ObjectKeyFromObject(segment))
	failed := !meta.IsStatusConditionTrue(segment.Status.Conditions, crm.ConditionReady)
	if !known || asked || behind || failed || state.SpecHash != hash || !r.Clock.Now().Before(state.RefreshedAt.Add(interval)) {
		if state, err = r.refresh(ctx, segment, shop, asked); err != nil {
			return time.Time{}, err
		}
	}
	r.report(segment, state, true)
	to.set(crm.ConditionFresh, true, crm.ReasonRefreshed, "refreshed within its interval")
	to.ready(crm.ReasonReady, "ready")
	return state.RefreshedAt.Add(interval), nil
}

// refresh brings the membership up to date; fully looks at everybody, which somebody who asks wants.
func (r *SegmentReconciler) refresh(ctx context.Context, segment *crm.Segment, shop journey.Shop, fully bool) (audience.State, error) {
	do := r.Audience.Refresh
	if fully {
		do = r.Audience.RefreshFully
	}
	result, err := do(ctx, segment.Namespace, segment.Name, &segment.Spec, audienceShop(shop))
	var invalid *audience.Invalid
	var missing *audience.Unsupported
	switch {
	case errors.As(err, &invalid):
		return audience.State{}, stalled(crm.ReasonInvalidSpec, "%s", err)
	case errors.As(err, &missing):
		return audience.State{}, stalled(crm.ReasonUnsupported, "%s", err)
	case err != nil:
		return audience.State{}, fmt.Errorf("refreshing segment %s/%s: %w", segment.Namespace, segment.Name, err)
	}
	observeRefresh(segment.Namespace, segment.Name, result)
	if result.Drift > 0 {
		ctrl.LoggerFrom(ctx).Error(errDrift, "A look at everybody put the membership of a segment right, which is a defect: please report it with the segment's spec", "customers", result.Drift)
	}
	return result.State, nil
}

var errDrift = errors.New("the membership was not what it should have been")

func audienceShop(shop journey.Shop) audience.Shop {
	out := audience.Shop{}
	if loc, err := shop.Location(); err == nil { // readShop has refused it otherwise
		out.Zone = loc
	}
	out.DormantAfter = crm.Duration(shop.DormantAfter).Duration()
	return out
}

// RefreshFor makes the membership at least as young as a moment: a run sees its audience as of its
// slot, not as of the last interval.
func (r *SegmentReconciler) RefreshFor(ctx context.Context, namespace, name string, moment time.Time, shop journey.Shop) error {
	var segment crm.Segment
	if err := r.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &segment); err != nil {
		return client.IgnoreNotFound(err) // the caller has said so
	}
	state, known, err := r.Audience.State(ctx, namespace, name)
	if err != nil {
		return err
	}
	if segment.Spec.Suspend {
		if !known {
			return waiting(crm.ReasonSegmentNotReady, "Segment %q is suspended and was never refreshed: set spec.suspend: false there", name)
		}
		return nil
	}
	if err := unsupported(segment.Spec.UnsupportedFields()); err != nil {
		return waiting(crm.ReasonSegmentNotReady, "Segment %q is not ready: %s", name, err)
	}
	if err := r.checkReferences(ctx, &segment); err != nil {
		if terminal(err) || isWaiting(err) {
			return waiting(crm.ReasonSegmentNotReady, "Segment %q is not ready: %s", name, err)
		}
		return err
	}
	hash, err := audience.SpecHash(&segment.Spec, audienceShop(shop))
	if err != nil {
		return err
	}
	if known && state.SpecHash == hash && !state.RefreshedAt.Before(moment) {
		return nil
	}
	for _, reference := range audience.References(&segment.Spec) {
		if err := r.RefreshFor(ctx, namespace, reference, moment, shop); err != nil {
			return err
		}
	}
	_, err = r.refresh(ctx, &segment, shop, false)
	return err
}

// checkReferences refuses segments that are not there and circles, and waits for those that have
// not been refreshed yet.
func (r *SegmentReconciler) checkReferences(ctx context.Context, segment *crm.Segment) error {
	names := audience.References(&segment.Spec)
	if len(names) == 0 {
		return nil
	}
	var list crm.SegmentList
	if err := r.List(ctx, &list, client.InNamespace(segment.Namespace)); err != nil {
		return fmt.Errorf("listing segments: %w", err)
	}
	specs := make(map[string]*crm.SegmentSpec, len(list.Items))
	for i := range list.Items {
		specs[list.Items[i].Name] = &list.Items[i].Spec
	}
	specs[segment.Name] = &segment.Spec
	if circle := audience.Cycle(segment.Name, specs); circle != nil {
		return stalled(crm.ReasonSegmentCycle, "spec.match: segments refer to one another in a circle: %s; remove one of these references", strings.Join(circle, " → "))
	}
	for _, name := range names {
		if specs[name] == nil {
			return stalled(crm.ReasonSegmentNotFound, "spec.match: Segment %q does not exist: create it in namespace %s", name, segment.Namespace)
		}
		_, known, err := r.Audience.State(ctx, segment.Namespace, name)
		if err != nil {
			return err
		}
		if !known {
			return waiting(crm.ReasonSegmentNotReady, "waiting for the first refresh of Segment %q", name)
		}
	}
	return nil
}

// report writes the state into the status. A refresh that found nothing new changes nothing there,
// so that an idle segment writes nothing to the API server.
func (r *SegmentReconciler) report(segment *crm.Segment, state audience.State, known bool) {
	if !known {
		return
	}
	s := &segment.Status
	reach := crm.ReachableCounts{Line: state.Reach.Line, Email: state.Reach.Email, SMS: state.Reach.SMS}
	if equalPtr(s.Members, &state.Members) && equalPtr(s.Entered, &state.Entered) && equalPtr(s.Exited, &state.Exited) && equalPtr(s.Reachable, &reach) {
		return
	}
	s.Members, s.Entered, s.Exited, s.Reachable = &state.Members, &state.Entered, &state.Exited, &reach
	s.LastRefresh = &crm.SegmentRefresh{
		Time: *metaTime(state.ChangedAt), Mode: state.Mode, Candidates: state.Candidates, Duration: state.Duration.Round(time.Microsecond * 100).String(),
	}
}

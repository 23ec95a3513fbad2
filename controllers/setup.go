// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"slices"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
)

// Indexes of what resources refer to, by name in their namespace.
const (
	indexSecret    = "kaeru.secret"
	indexConfigMap = "kaeru.configMap"
	indexChannel   = "kaeru.channel"
	indexSegment   = "kaeru.segment"
	indexEnters    = "kaeru.enters"
)

// specOrRequest lets through what a user did: a new spec, or the annotation that asks for a refresh.
// Our own writes to status wake nobody.
var specOrRequest = predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{})

// SetupIndexes makes the indexes that the watches below look resources up by.
func SetupIndexes(ctx context.Context, mgr ctrl.Manager) error {
	indexer := mgr.GetFieldIndexer()
	for _, i := range []struct {
		object client.Object
		field  string
		names  client.IndexerFunc
	}{
		{&crm.ChannelConfig{}, indexSecret, func(o client.Object) []string {
			spec := &o.(*crm.ChannelConfig).Spec
			_, name := credentials(spec)
			return unique(append(nonEmpty(string(name)), nonEmpty(string(dkimSecret(spec)))...))
		}},
		{&crm.Scenario{}, indexConfigMap, func(o client.Object) []string { return configMaps(&o.(*crm.Scenario).Spec) }},
		{&crm.Scenario{}, indexChannel, func(o client.Object) []string { return ChannelsOf(&o.(*crm.Scenario).Spec) }},
		{&crm.Scenario{}, indexSecret, func(o client.Object) []string { return signingSecrets(&o.(*crm.Scenario).Spec) }},
		{&crm.Scenario{}, indexSegment, func(o client.Object) []string {
			if ref := o.(*crm.Scenario).Spec.SegmentRef; ref != nil {
				return []string{string(ref.Name)}
			}
			return nil
		}},
		{&crm.Scenario{}, indexEnters, func(o client.Object) []string { return entersOf(&o.(*crm.Scenario).Spec) }},
		{&crm.Segment{}, indexSegment, func(o client.Object) []string { return audience.References(&o.(*crm.Segment).Spec) }},
	} {
		if err := indexer.IndexField(ctx, i.object, i.field, i.names); err != nil {
			return err
		}
	}
	return nil
}

func configMaps(spec *crm.ScenarioSpec) []string {
	var names []string
	for i := range spec.Steps {
		for _, c := range mailsOf(&spec.Steps[i]) {
			for _, from := range []*crm.ContentSource{c.MJMLFrom, c.HTMLFrom, c.TextFrom} {
				if from != nil {
					names = append(names, string(from.ConfigMapKeyRef.Name))
				}
			}
		}
	}
	return unique(names)
}

// ChannelsOf names the ChannelConfigs that a Scenario sends through.
func ChannelsOf(spec *crm.ScenarioSpec) []string {
	var names []string
	for i := range spec.Steps {
		for _, u := range channelsOfStep(&spec.Steps[i]) {
			names = append(names, u.name)
		}
	}
	return unique(names)
}

func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

func nonEmpty(name string) []string {
	if name == "" {
		return nil
	}
	return []string{name}
}

// SetupWithManager watches Segments and what they refer to, and hears of what facts changed.
func (r *SegmentReconciler) SetupWithManager(mgr ctrl.Manager, nudges *Nudges) error {
	return ctrl.NewControllerManagedBy(mgr).Named("segment").
		For(&crm.Segment{}, builder.WithPredicates(specOrRequest)).
		Watches(&crm.Segment{}, referrers(mgr.GetClient(), &crm.SegmentList{}, indexSegment)).
		WatchesMetadata(&corev1.ConfigMap{}, r.shop(), builder.WithPredicates(named(crm.ShopConfigMap))).
		WatchesRawSource(nudges.source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4}).
		Complete(r)
}

// shop wakes all Segments of a namespace whose shop changed.
func (r *SegmentReconciler) shop() handler.EventHandler {
	return all(r.Client, &crm.SegmentList{})
}

// SetupWithManager watches ChannelConfigs and their Secrets, and hears of pauses and of messages sent.
func (r *ChannelConfigReconciler) SetupWithManager(mgr ctrl.Manager, nudges *Nudges) error {
	return ctrl.NewControllerManagedBy(mgr).Named("channelconfig").
		For(&crm.ChannelConfig{}, builder.WithPredicates(predicate.Or(specOrRequest, followed(r.Leads)))).
		WatchesMetadata(&corev1.Secret{}, referrers(mgr.GetClient(), &crm.ChannelConfigList{}, indexSecret)).
		WatchesMetadata(&corev1.ConfigMap{}, all(mgr.GetClient(), &crm.ChannelConfigList{}), builder.WithPredicates(named(crm.ShopConfigMap))).
		WatchesRawSource(nudges.source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: 8, NeedLeaderElection: ptrTo(false)}).
		Complete(r)
}

// SetupWithManager watches Scenarios, what they refer to and what they own, and hears of progress.
func (r *ScenarioReconciler) SetupWithManager(mgr ctrl.Manager, nudges *Nudges) error {
	c := mgr.GetClient()
	return ctrl.NewControllerManagedBy(mgr).Named("scenario").
		For(&crm.Scenario{}, builder.WithPredicates(specOrRequest)).
		Owns(&batchv1.Job{}, builder.WithPredicates(predicate.Or[client.Object](deletions, jobChanges))).
		Owns(&appsv1.ControllerRevision{}, builder.WithPredicates(deletions)).
		Watches(&crm.Scenario{}, referrers(c, &crm.ScenarioList{}, indexEnters), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&crm.ChannelConfig{}, referrers(c, &crm.ScenarioList{}, indexChannel), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&crm.Segment{}, referrers(c, &crm.ScenarioList{}, indexSegment), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesMetadata(&corev1.Secret{}, referrers(c, &crm.ScenarioList{}, indexSecret)).
		WatchesMetadata(&corev1.ConfigMap{}, handler.Funcs{
			CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { r.configMap(ctx, e.Object, q) },
			UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) { r.configMap(ctx, e.ObjectNew, q) },
			DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { r.configMap(ctx, e.Object, q) },
		}).
		WatchesRawSource(nudges.source()).
		WithOptions(controller.Options{MaxConcurrentReconciles: 4}).
		Complete(r)
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// deletions lets through what somebody deleted: our own writes to what we own wake nobody.
var deletions = predicate.Funcs{
	CreateFunc:  func(event.CreateEvent) bool { return false },
	UpdateFunc:  func(event.UpdateEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
}

// jobChanges lets through what others do to a Job: that it was suspended or goes on, and how its pods ended.
var jobChanges = predicate.Funcs{
	CreateFunc:  func(event.CreateEvent) bool { return false },
	DeleteFunc:  func(event.DeleteEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*batchv1.Job)
		now, is := e.ObjectNew.(*batchv1.Job)
		return ok && is && (isSuspended(before) != isSuspended(now) || now.Spec.ManagedBy == nil && finished(before) != finished(now))
	},
}

func named(name string) predicate.Predicate {
	return predicate.NewPredicateFuncs(func(o client.Object) bool { return o.GetName() == name })
}

// configMap wakes the Scenarios that take content from a ConfigMap, or all if it is the shop's.
func (r *ScenarioReconciler) configMap(ctx context.Context, o client.Object, q queue) {
	if o.GetName() == crm.ShopConfigMap {
		enqueue(ctx, r.Client, &crm.ScenarioList{}, q, client.InNamespace(o.GetNamespace()))
		return
	}
	enqueue(ctx, r.Client, &crm.ScenarioList{}, q, client.InNamespace(o.GetNamespace()), client.MatchingFields{indexConfigMap: o.GetName()})
}

// referrers wakes those whose index names the object.
func referrers(c client.Client, list client.ObjectList, index string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
		return requests(ctx, c, list, client.InNamespace(o.GetNamespace()), client.MatchingFields{index: o.GetName()})
	})
}

// all wakes everything of a kind in the object's namespace.
func all(c client.Client, list client.ObjectList) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
		return requests(ctx, c, list, client.InNamespace(o.GetNamespace()))
	})
}

func enqueue(ctx context.Context, c client.Client, list client.ObjectList, q queue, opts ...client.ListOption) {
	for _, r := range requests(ctx, c, list, opts...) {
		q.Add(r)
	}
}

func requests(ctx context.Context, c client.Client, like client.ObjectList, opts ...client.ListOption) []reconcile.Request {
	list, ok := like.DeepCopyObject().(client.ObjectList)
	if !ok {
		return nil
	}
	if err := c.List(ctx, list, opts...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Resources that refer to a changed object could not be listed")
		return nil
	}
	var out []reconcile.Request
	err := meta.EachListItem(list, func(o runtime.Object) error {
		m, err := meta.Accessor(o)
		if err == nil {
			out = append(out, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: m.GetNamespace(), Name: m.GetName()}})
		}
		return err
	})
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Resources that refer to a changed object could not be read")
	}
	return out
}

// Nudges wake resources for what the API server does not know: progress, receipts, pauses. One
// resource is woken at most once in a while, so that a run of a million messages does not write its
// status a million times.
type Nudges struct {
	every   time.Duration
	events  chan event.GenericEvent
	mu      sync.Mutex
	pending map[dispatch.Ref]bool
	last    map[dispatch.Ref]time.Time
}

// NewNudges wakes a resource at most once in every, on machine time.
func NewNudges(every time.Duration) *Nudges {
	return &Nudges{every: every, events: make(chan event.GenericEvent, 1024), pending: map[dispatch.Ref]bool{}, last: map[dispatch.Ref]time.Time{}}
}

// Nudge wakes a resource, now or when it may be woken again. It never blocks, and never loses
// the last nudge.
func (n *Nudges) Nudge(ref dispatch.Ref) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pending[ref] {
		return
	}
	n.pending[ref] = true
	wait := max(time.Until(n.last[ref].Add(n.every)), 0)
	time.AfterFunc(wait, func() { n.send(ref) })
}

// send wakes a resource. Where nobody listens, as in a process that does not lead, the channel fills
// up, and the resource stays to be woken.
func (n *Nudges) send(ref dispatch.Ref) {
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case n.events <- event.GenericEvent{Object: &metav1.PartialObjectMetadata{
		ObjectMeta: metav1.ObjectMeta{Namespace: ref.Namespace, Name: ref.Name},
	}}:
		delete(n.pending, ref)
		n.last[ref] = time.Now()
	default:
		time.AfterFunc(max(n.every, time.Second), func() { n.send(ref) })
	}
}

func (n *Nudges) source() source.Source {
	return source.Channel(n.events, handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}}}
	}))
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
)

// leads is what Leads says; nil leads.
func leads(f func() bool) bool { return f == nil || f() }

// follow makes a channel known to a process that does not lead. What the leader found with the provider it
// reads from the status.
func (r *ChannelConfigReconciler) follow(ctx context.Context, ref dispatch.Ref, config *crm.ChannelConfig) error {
	if isStalled(config) {
		r.Channels.Remove(ref)
		return nil
	}
	err := r.supply(ctx, ref, config)
	if terminal(err) || isWaiting(err) {
		r.Channels.Remove(ref)
		ctrl.LoggerFrom(ctx).Info("Channel cannot be sent through", "namespace", ref.Namespace, "channel", ref.Name, "reason", err.Error())
		return nil // the leader says so where it can be read
	}
	return err
}

func (r *ChannelConfigReconciler) supply(ctx context.Context, ref dispatch.Ref, config *crm.ChannelConfig) error {
	if err := unsupported(config.Spec.UnsupportedFields()); err != nil {
		return err
	}
	shop, err := readShop(ctx, r.Live, config.Namespace)
	if err != nil {
		return err
	}
	built, err := r.build(ctx, ref, config)
	if err != nil {
		return err
	}
	ch, err := configured(config, built, r.statusCallback(config, ref), shop)
	if err != nil {
		return err
	}
	r.mu.Lock()
	if r.known == nil {
		r.known = map[dispatch.Ref]*checked{}
	}
	if seen := r.known[ref]; seen == nil || seen.sender != built {
		if seen != nil {
			retire(seen.sender)
		}
		r.known[ref] = &checked{fingerprint: built.fingerprint, sender: built}
	}
	r.mu.Unlock()
	r.Channels.Put(ref, ch)
	return nil
}

// isStalled tells whether the leader has found that a channel cannot be used as it is now.
func isStalled(config *crm.ChannelConfig) bool {
	return config.Status.ObservedGeneration == config.Generation && meta.IsStatusConditionTrue(config.Status.Conditions, crm.ConditionStalled)
}

// followed lets those who do not lead hear of what the leader found.
func followed(leading func() bool) predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*crm.ChannelConfig)
		now, is := e.ObjectNew.(*crm.ChannelConfig)
		return ok && is && !leads(leading) && isStalled(before) != isStalled(now)
	}}
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/email"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// ChannelConfigReconciler makes channels that can be sent through, and checks them with their
// providers.
type ChannelConfigReconciler struct {
	client.Client
	// Live reads from the API server itself: Secrets are not kept in a cache.
	Live     client.Reader
	Recorder events.EventRecorder
	Clock    clock.PassiveClock
	Store    *store.Store
	Channels *dispatch.Channels
	// Resolver is asked for signing keys; nil for the system's.
	Resolver email.TXTResolver
	// PublicURL is where providers reach the gateway; empty where they cannot.
	PublicURL string
	// BounceToken signs what names a message in the address that its bounces go to.
	BounceToken func(message uuid.UUID, to string) string
	// Leads tells whether this process checks channels and writes their status; nil for one that does. One that
	// does not can only send through them.
	Leads func() bool

	mu    sync.Mutex
	known map[dispatch.Ref]*checked
}

// checked is what the last check of a channel found. It is kept in memory: after a start each
// channel is checked anew.
type checked struct {
	fingerprint string
	request     string
	at          time.Time // machine time
	account     channel.Account
	err         error
	sender      *builtSender
}

const (
	// checkEvery is how often a channel is checked with its provider, on machine time.
	checkEvery = 5 * time.Minute
	// recheckAfter is how soon one is checked again that could not be reached.
	recheckAfter = 15 * time.Second
	// checkTimeout bounds a check: a provider that hangs must not hold the others up.
	checkTimeout = 20 * time.Second
)

// +kubebuilder:rbac:groups=crm.kaeru.dev,resources=channelconfigs,verbs=get;list;watch
// +kubebuilder:rbac:groups=crm.kaeru.dev,resources=channelconfigs/status,verbs=get;patch;update

// Reconcile brings one channel to where its spec and its provider say.
func (r *ChannelConfigReconciler) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, err error) {
	ref := dispatch.Ref{Namespace: req.Namespace, Name: req.Name}
	var config crm.ChannelConfig
	if err := r.Get(ctx, req.NamespacedName, &config); err != nil {
		if apierrors.IsNotFound(err) {
			r.forget(ref)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, err
	}
	if !config.DeletionTimestamp.IsZero() {
		r.forget(ref)
		return ctrl.Result{}, nil
	}

	if !leads(r.Leads) {
		return ctrl.Result{}, r.follow(ctx, ref, &config)
	}
	before := config.DeepCopy()
	defer func() {
		err = errors.Join(err, patchStatus(ctx, r.Client, before, &config, &before.Status, &config.Status))
	}()
	status := &config.Status
	to := conditions{&status.Conditions, config.Generation}
	status.ObservedGeneration = config.Generation
	status.Type = config.Spec.Type()
	status.WebhookPath = webhookPath(status.Type, ref)

	next, err := r.reconcile(ctx, ref, &config)
	status.LastHandledRequest = config.Annotations[crm.AnnotationRequestedAt]
	if err == nil {
		r.announce(ref, before, &config)
		return ctrl.Result{RequeueAfter: next}, nil
	}
	to.failed(err)
	if !terminal(err) && !isWaiting(err) {
		return ctrl.Result{}, err
	}
	if terminal(err) {
		r.Channels.Remove(ref)
	}
	if !sameReady(before.Status.Conditions, status.Conditions) {
		r.Recorder.Eventf(&config, nil, "Warning", readyReason(status.Conditions), "Check", "%s", note(err.Error()))
	}
	return ctrl.Result{RequeueAfter: next}, nil
}

// reconcile is the list of phases; it returns the machine time after which to look again.
func (r *ChannelConfigReconciler) reconcile(ctx context.Context, ref dispatch.Ref, config *crm.ChannelConfig) (time.Duration, error) {
	if err := unsupported(config.Spec.UnsupportedFields()); err != nil {
		return 0, err
	}
	shop, err := readShop(ctx, r.Live, config.Namespace)
	if err != nil {
		return 0, err
	}
	if err := r.month(ctx, ref, config, shop); err != nil {
		return 0, err
	}
	if err := r.refusals(ctx, ref, config); err != nil {
		return 0, err
	}
	built, err := r.build(ctx, ref, config)
	if err != nil {
		return 0, err
	}
	seen, err := r.check(ctx, ref, config, built)
	if err != nil {
		return recheckAfter, err
	}
	ch, err := configured(config, built, r.statusCallback(config, ref), shop)
	if err != nil {
		return 0, err
	}
	r.Channels.Put(ref, ch)
	ahead, err := r.look(ctx, ref, seen)
	if err != nil {
		return 0, err
	}
	return r.accept(ref, config, seen, ahead), nil
}

// accept writes what a channel that can be used looks like.
func (r *ChannelConfigReconciler) accept(ref dispatch.Ref, config *crm.ChannelConfig, seen *checked, ahead outlook) time.Duration {
	to := conditions{&config.Status.Conditions, config.Generation}
	low := meta.FindStatusCondition(config.Status.Conditions, crm.ConditionQuotaAvailable)
	if low != nil {
		low = low.DeepCopy()
	}
	writeAccount(config, seen, to)
	r.writeSigning(config, seen, to)
	r.writeOutlook(config, seen, ahead, low, to)
	next := checkEvery - time.Since(seen.at)
	if pause, paused := r.Channels.Paused(ref); paused {
		message := pausedMessage(pause)
		if !pause.Until.IsZero() {
			next = min(next, time.Until(pause.Until))
		}
		switch pause.Reason {
		case channel.ReasonQuotaExhausted:
			to.set(crm.ConditionQuotaAvailable, false, crm.ReasonQuotaExhausted, message)
		case channel.ReasonCredentialsInvalid:
			to.set(crm.ConditionCredentialsValid, false, crm.ReasonCredentialsInvalid, message)
		}
		to.remove(crm.ConditionStalled)
		to.set(crm.ConditionReconciling, true, pause.Reason, message)
		to.set(crm.ConditionReady, false, pause.Reason, message)
		return max(next, time.Second)
	}
	if config.Spec.Suspend {
		to.ready(crm.ReasonSuspended, "suspended: messages wait")
	} else {
		to.ready(crm.ReasonReady, "ready")
	}
	return max(next, time.Second)
}

func (r *ChannelConfigReconciler) forget(ref dispatch.Ref) {
	r.Channels.Forget(ref)
	r.mu.Lock()
	defer r.mu.Unlock()
	if seen := r.known[ref]; seen != nil {
		retire(seen.sender)
		delete(r.known, ref)
	}
}

// retire closes a sender when what it has under way has ended.
func retire(b *builtSender) {
	time.AfterFunc(2*time.Minute, func() { _ = b.sender.Close() }) // it has nothing left to lose
}

// check asks the provider who we are there, unless it was asked a moment ago.
func (r *ChannelConfigReconciler) check(ctx context.Context, ref dispatch.Ref, config *crm.ChannelConfig, built *builtSender) (*checked, error) {
	request := config.Annotations[crm.AnnotationRequestedAt]
	r.mu.Lock()
	seen := r.known[ref]
	r.mu.Unlock()
	asked := seen == nil || seen.fingerprint != built.fingerprint || seen.request != request
	if !asked && (time.Since(seen.at) < checkEvery-time.Second && seen.err == nil || time.Since(seen.at) < recheckAfter-time.Second) {
		return seen, refused(config, seen)
	}
	// After a start each channel is checked, and what paused it before goes on until somebody asks for it to end.
	if asked && (seen != nil || request != config.Status.LastHandledRequest) {
		r.Channels.Resume(ref)
	}
	now := &checked{fingerprint: built.fingerprint, request: request, at: time.Now(), sender: built}
	if config.Spec.ModeOrDefault() != crm.ModeSandbox {
		checking, cancel := context.WithTimeout(ctx, checkTimeout)
		defer cancel()
		now.account, now.err = built.sender.Check(checking)
	}
	r.mu.Lock()
	if r.known == nil {
		r.known = map[dispatch.Ref]*checked{}
	}
	if pause, paused := r.Channels.Paused(ref); paused && pause.Reason == channel.ReasonQuotaExhausted && mended(seen, now) {
		r.Channels.Resume(ref)
	}
	if seen != nil && seen.sender != built {
		retire(seen.sender)
	}
	r.known[ref] = now
	r.mu.Unlock()
	return now, refused(config, now)
}

// refused turns the error of a check into what the status says of it.
func refused(config *crm.ChannelConfig, seen *checked) error {
	if seen.err == nil {
		return nil
	}
	to := conditions{&config.Status.Conditions, config.Generation}
	var e *channel.CheckError
	if !errors.As(seen.err, &e) {
		return waiting(crm.ReasonProviderUnreachable, "%s", seen.err)
	}
	if e.Permanent {
		to.set(crm.ConditionCredentialsValid, false, e.Reason, e.Message)
		return stalled(e.Reason, "%s", e.Message)
	}
	to.setStatus(crm.ConditionCredentialsValid, metav1.ConditionUnknown, e.Reason, e.Message)
	return waiting(e.Reason, "%s", e.Message)
}

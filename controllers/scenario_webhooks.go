// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"net/url"
	"sync"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/channel/webhook"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/journey"
)

// WebhookSenders make the channels known that webhooks go through, one for each key that signs them.
type WebhookSenders struct {
	// Allowed are the hosts that may be called.
	Allowed webhook.Hosts
	// Live reads Secrets from the API server itself.
	Live     client.Reader
	Channels *dispatch.Channels

	mu    sync.Mutex
	known map[dispatch.Ref]builtSender
}

// checkWebhooks refuses calls to hosts that the operator does not allow, and makes the channels known that
// the others go through.
func (r *ScenarioReconciler) checkWebhooks(ctx context.Context, scenario *crm.Scenario) error {
	for i := range scenario.Spec.Steps {
		w := scenario.Spec.Steps[i].Webhook
		if w == nil {
			continue
		}
		path := fmt.Sprintf("spec.steps[%d].webhook", i)
		u, err := url.Parse(string(w.URL))
		if err != nil || u.Host == "" {
			return stalled(crm.ReasonInvalidSpec, "%s.url: is no URL: write it like https://shop.example/hook", path)
		}
		if !r.Webhooks.Allowed.Allow(u) {
			return stalled(crm.ReasonWebhookNotAllowed, "%s.url: webhooks to %s are not allowed: name it in the manager's --webhook-allowed-hosts", path, u.Host)
		}
		if err := r.Webhooks.know(ctx, scenario.Namespace, path, w); err != nil {
			return err
		}
	}
	return nil
}

// Know makes the channels of a Scenario's webhooks known.
func (s *WebhookSenders) Know(ctx context.Context, namespace string, spec *crm.ScenarioSpec) error {
	for i := range spec.Steps {
		if w := spec.Steps[i].Webhook; w != nil {
			if err := s.know(ctx, namespace, fmt.Sprintf("spec.steps[%d].webhook", i), w); err != nil {
				return err
			}
		}
	}
	return nil
}

// webhookFollower makes channels of webhooks known to processes that do not lead.
type webhookFollower struct {
	client.Client
	senders *WebhookSenders
	leads   func() bool
}

// Reconcile does so for one Scenario.
func (f *webhookFollower) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var scenario crm.Scenario
	if leads(f.leads) {
		return ctrl.Result{}, nil // who leads does it when it checks the Scenario
	}
	if err := f.Get(ctx, req.NamespacedName, &scenario); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	err := f.senders.Know(ctx, scenario.Namespace, &scenario.Spec)
	if terminal(err) {
		return ctrl.Result{}, nil // the leader says so where it can be read
	}
	return ctrl.Result{}, err
}

// SetupWithManager watches Scenarios in processes that may not lead.
func (s *WebhookSenders) SetupWithManager(mgr ctrl.Manager, leads func() bool) error {
	return ctrl.NewControllerManagedBy(mgr).Named("webhooks").
		For(&crm.Scenario{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesMetadata(&corev1.Secret{}, referrers(mgr.GetClient(), &crm.ScenarioList{}, indexSecret)).
		WithOptions(controller.Options{NeedLeaderElection: ptrTo(false)}).
		Complete(&webhookFollower{Client: mgr.GetClient(), senders: s, leads: leads})
}

func (s *WebhookSenders) know(ctx context.Context, namespace, path string, w *crm.WebhookStep) error {
	key, version := "", ""
	if ref := w.SigningSecretRef; ref != nil {
		path += ".signingSecretRef"
		secret, err := readSecret(ctx, s.Live, namespace, path, ref.Name)
		if err != nil {
			return err
		}
		if key, err = secretKey(secret, path, ref.Key); err != nil {
			return err
		}
		version = string(secret.UID) + "/" + secret.ResourceVersion
	}
	ref := dispatch.Ref{Namespace: namespace, Name: journey.WebhookChannel(w)}
	s.mu.Lock()
	defer s.mu.Unlock()
	before, known := s.known[ref]
	if known && before.fingerprint == version {
		return nil
	}
	sender, err := webhook.New(webhook.Config{Secret: []byte(key), Allowed: s.Allowed, Concurrency: httpConcurrency})
	if err != nil {
		return stalled(crm.ReasonSecretInvalid, "%s: %s", path, err)
	}
	s.Channels.Put(ref, &dispatch.Channel{Sender: sender, Kind: string(journey.KindWebhook), Mode: dispatch.ModeLive, Fingerprint: version})
	if s.known == nil {
		s.known = map[dispatch.Ref]builtSender{}
	}
	s.known[ref] = builtSender{fingerprint: version, sender: sender}
	if known {
		return before.sender.Close() // calls under way end; nothing begins with it any more
	}
	return nil
}

// signingSecrets names the Secrets that sign webhooks.
func signingSecrets(spec *crm.ScenarioSpec) []string {
	var names []string
	for i := range spec.Steps {
		if w := spec.Steps[i].Webhook; w != nil && w.SigningSecretRef != nil {
			names = append(names, string(w.SigningSecretRef.Name))
		}
	}
	return unique(names)
}

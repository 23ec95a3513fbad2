// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"net/url"
	"sync"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/channel/webhook"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/journey"
)

// WebhookSenders are the senders of webhooks, one for each key that signs them. The zero value, with the
// hosts that may be called, is ready.
type WebhookSenders struct {
	Allowed webhook.Hosts

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
		if err := r.webhookChannel(ctx, scenario.Namespace, path, w); err != nil {
			return err
		}
	}
	return nil
}

func (r *ScenarioReconciler) webhookChannel(ctx context.Context, namespace, path string, w *crm.WebhookStep) error {
	key, version := "", ""
	if ref := w.SigningSecretRef; ref != nil {
		path += ".signingSecretRef"
		secret, err := readSecret(ctx, r.Live, namespace, path, ref.Name)
		if err != nil {
			return err
		}
		if key, err = secretKey(secret, path, ref.Key); err != nil {
			return err
		}
		version = string(secret.UID) + "/" + secret.ResourceVersion
	}
	ref := dispatch.Ref{Namespace: namespace, Name: journey.WebhookChannel(w)}
	s := &r.Webhooks
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
	r.Channels.Put(ref, &dispatch.Channel{Sender: sender, Kind: string(journey.KindWebhook), Mode: dispatch.ModeLive, Fingerprint: version})
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

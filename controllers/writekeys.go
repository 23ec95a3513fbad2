// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
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
)

// minWriteKey is how short a write key may be: a shorter one can be guessed.
const minWriteKey = 16

// WriteKeyReconciler reads the write keys out of their Secrets. There are few, so each change reads
// all of them: a key that two namespaces have is then seen from both sides.
type WriteKeyReconciler struct {
	Live     client.Reader
	Recorder events.EventRecorder
	// Set is given all keys with their namespaces.
	Set func(keys map[string]string)
}

// SetupWithManager watches the Secrets with the label, on each replica, since each lets facts in.
func (r *WriteKeyReconciler) SetupWithManager(mgr ctrl.Manager) error {
	all := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request { return []reconcile.Request{{}} })
	everywhere := false
	return ctrl.NewControllerManagedBy(mgr).Named("writekeys").
		WatchesMetadata(&corev1.Secret{}, all, builder.WithPredicates(predicate.Funcs{
			CreateFunc: func(e event.CreateEvent) bool { return holdsWriteKey(e.Object) },
			// Also where the label was taken away.
			UpdateFunc: func(e event.UpdateEvent) bool { return holdsWriteKey(e.ObjectOld) || holdsWriteKey(e.ObjectNew) },
			DeleteFunc: func(e event.DeleteEvent) bool { return holdsWriteKey(e.Object) },
		})).
		// That there are no keys is worth knowing too.
		WatchesRawSource(source.Func(func(_ context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
			q.Add(reconcile.Request{})
			return nil
		})).
		WithOptions(controller.Options{NeedLeaderElection: &everywhere}).
		Complete(r)
}

func holdsWriteKey(o client.Object) bool { return o.GetLabels()[crm.LabelWriteKey] == "true" }

// Reconcile reads all write keys.
func (r *WriteKeyReconciler) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	var secrets corev1.SecretList
	if err := r.Live.List(ctx, &secrets, client.MatchingLabels{crm.LabelWriteKey: "true"}); err != nil {
		return reconcile.Result{}, fmt.Errorf("reading the Secrets with write keys: %w", err)
	}
	holders := map[string][]*corev1.Secret{}
	for i := range secrets.Items {
		s := &secrets.Items[i]
		key := trimSpace(s.Data[crm.WriteKeyData])
		if reason := checkWriteKey(key); reason != "" {
			r.refuse(ctx, s, crm.ReasonWriteKeyInvalid, fmt.Sprintf("the key %s %s", crm.WriteKeyData, reason))
			continue
		}
		holders[key] = append(holders[key], s)
	}
	keys := make(map[string]string, len(holders))
	for key, secrets := range holders {
		if severalNamespaces(secrets) {
			for _, s := range secrets {
				r.refuse(ctx, s, crm.ReasonWriteKeyNotUnique,
					"another namespace has the same write key, so it lets nothing in for either: make one of your own")
			}
			continue
		}
		keys[key] = secrets[0].Namespace
	}
	r.Set(keys)
	return reconcile.Result{}, nil
}

// refuse says that a Secret's key lets nothing in. It does not name the other one who has it, nor the key.
func (r *WriteKeyReconciler) refuse(ctx context.Context, s *corev1.Secret, reason, message string) {
	r.Recorder.Eventf(s, nil, "Warning", reason, "ReadWriteKey", "%s", message)
	ctrl.LoggerFrom(ctx).Info("A write key lets nothing in", "namespace", s.Namespace, "secret", s.Name, "reason", reason)
}

func severalNamespaces(secrets []*corev1.Secret) bool {
	return slices.ContainsFunc(secrets, func(s *corev1.Secret) bool { return s.Namespace != secrets[0].Namespace })
}

// checkWriteKey says what is wrong with a write key.
func checkWriteKey(key string) string {
	switch {
	case key == "":
		return "is missing or empty: write one such as that of `openssl rand -hex 20`"
	case len(key) < minWriteKey:
		return fmt.Sprintf("is shorter than %d characters and could be guessed: write one such as that of `openssl rand -hex 20`", minWriteKey)
	case strings.ContainsFunc(key, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == ':' }):
		return "has a colon, a blank or a character that is not ASCII, which the user of Basic authentication cannot have: write one such as that of `openssl rand -hex 20`"
	}
	return ""
}

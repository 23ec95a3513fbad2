// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

func TestWriteKeysFollowTheirSecrets(t *testing.T) {
	kube := testenv.ControlPlane(t).Config
	c, err := client.New(kube, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	shop, mall := testenv.Namespace(t), testenv.Namespace(t)
	one, two, common := uuid.NewString(), uuid.NewString(), uuid.NewString()
	changed := make(chan map[string]string, 100)
	followWriteKeys(t, &WriteKeyReconciler{Set: func(keys map[string]string) { changed <- keys }})

	// until waits for the keys to be those.
	until := func(what string, want map[string]string) {
		t.Helper()
		var got map[string]string
		for deadline := time.After(30 * time.Second); ; {
			select {
			case got = <-changed:
				if maps.Equal(got, want) {
					return
				}
			case <-deadline:
				t.Fatalf("%s: the keys are %d, want %d", what, len(got), len(want))
			}
		}
	}
	secret := func(ns, name, key string) *corev1.Secret {
		return &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: map[string]string{crm.LabelWriteKey: "true"}},
			StringData: map[string]string{crm.WriteKeyData: key},
		}
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	until("at the start", map[string]string{})
	do(c.Create(t.Context(), secret(shop, "one", one+"\n")))
	until("one key", map[string]string{one: shop})
	do(c.Create(t.Context(), secret(shop, "two", two)))
	do(c.Create(t.Context(), secret(shop, "short", "too-short")))
	unlabelled := secret(shop, "unlabelled", uuid.NewString())
	unlabelled.Labels = nil
	do(c.Create(t.Context(), unlabelled))
	until("two keys of a namespace", map[string]string{one: shop, two: shop})

	do(c.Create(t.Context(), secret(shop, "common", common)))
	until("a third", map[string]string{one: shop, two: shop, common: shop})
	do(c.Create(t.Context(), secret(mall, "common", common)))
	until("one that another namespace has too", map[string]string{one: shop, two: shop})
	wantEvent(t, c, shop, "common", crm.ReasonWriteKeyNotUnique, common)
	wantEvent(t, c, mall, "common", crm.ReasonWriteKeyNotUnique, common)
	wantEvent(t, c, shop, "short", crm.ReasonWriteKeyInvalid, "too-short")
	do(c.Delete(t.Context(), secret(shop, "common", "")))
	until("one that the other gave up", map[string]string{one: shop, two: shop, common: mall})

	changedKey := uuid.NewString()
	do(c.Update(t.Context(), secret(shop, "one", changedKey)))
	until("another key in its place", map[string]string{changedKey: shop, two: shop, common: mall})
	unlabelled = secret(shop, "two", two)
	unlabelled.Labels = nil
	do(c.Update(t.Context(), unlabelled))
	until("without the label", map[string]string{changedKey: shop, common: mall})
}

// followWriteKeys runs the reconciler as the manager does, until the test ends.
func followWriteKeys(t *testing.T, r *WriteKeyReconciler) {
	t.Helper()
	skip := true
	options := ctrl.Options{Scheme: scheme.Scheme, Logger: testr.New(t), Metrics: metricsserver.Options{BindAddress: "0"}}
	options.Controller.SkipNameValidation = &skip
	mgr, err := ctrl.NewManager(testenv.ControlPlane(t).Config, options)
	if err != nil {
		t.Fatal(err)
	}
	r.Live, r.Recorder = mgr.GetAPIReader(), mgr.GetEventRecorder("kaeru")
	if err := r.SetupWithManager(mgr); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the manager ended with: %v", err)
		}
	})
}

func wantEvent(t *testing.T, c client.Client, ns, name, reason, secret string) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		var list eventsv1.EventList
		if err := c.List(t.Context(), &list, client.InNamespace(ns)); err != nil {
			t.Fatal(err)
		}
		for i := range list.Items {
			e := &list.Items[i]
			if strings.Contains(e.Note, secret) {
				t.Errorf("an event tells the key: %s", e.Note)
			}
			if e.Regarding.Name == name && e.Reason == reason {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("no event %s about Secret %s", reason, name)
		}
	}
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package worker is the process of a pod of a run's Job: it works one index off, and ends.
package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/controllers"
	"github.com/kaeru-dev/kaeru/internal/channel/webhook"
	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/manager"
	"github.com/kaeru-dev/kaeru/internal/store"
)

const (
	// followEvery is how often the channels are read anew: credentials may be mended while a run waits.
	followEvery = 10 * time.Second
	// reportEvery is how often the log tells how far the index is.
	reportEvery = 10 * time.Second
)

// Config is what flags and environment say.
type Config struct {
	// Store is the DSN of the database.
	Store string
	// Index is what is to be worked off.
	Index dispatch.Index
	// PublicURL is how recipients and providers reach the gateway, as the manager has it.
	PublicURL string
	// WebhookHosts are those that webhooks may call.
	WebhookHosts webhook.Hosts
	Clock        clock.Clock
	Log          logr.Logger
}

// Run works the index off. It returns nil when nothing of it is left, dispatch.ErrNoIndex where there is no such
// index, and the context's error when that ends first: what is being sent ends before.
func Run(ctx context.Context, kube *rest.Config, c Config) (err error) {
	st, err := store.Open(ctx, c.Store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if st.Dialect() == store.SQLite {
		return errors.New("--store is SQLite, which one process has to itself: runner Job needs PostgreSQL")
	}
	api, err := client.New(kube, client.Options{Scheme: manager.Scheme()})
	if err != nil {
		return fmt.Errorf("reaching the cluster: %w", err)
	}
	compiler := content.NewCompiler(content.Options{})
	defer func() { err = errors.Join(err, compiler.Close()) }()
	signer, err := manager.Signer(ctx, st, c.PublicURL)
	if err != nil {
		return err
	}
	never := func() bool { return false }
	channels := dispatch.NewChannels(nil)
	engine := dispatch.NewEngine(dispatch.Options{
		Store: st, Clock: c.Clock, Compiler: compiler, Signer: signer, OneClick: manager.OneClick(c.PublicURL), Channels: channels,
		Log: c.Log, Leads: never,
	})
	w := &worker{
		index: c.Index, engine: engine, log: c.Log.WithValues("scenario", c.Index.Ref.Name, "run", c.Index.Run, "index", c.Index.N),
		senders: &controllers.WebhookSenders{Allowed: c.WebhookHosts, Live: api, Channels: channels},
		configs: &controllers.ChannelConfigReconciler{
			Client: api, Live: api, Clock: c.Clock, Store: st, Channels: channels, PublicURL: signer.PublicURL(), BounceToken: signer.BounceToken, Leads: never,
		},
	}
	return w.run(ctx)
}

type worker struct {
	index   dispatch.Index
	engine  *dispatch.Engine
	configs *controllers.ChannelConfigReconciler
	senders *controllers.WebhookSenders
	log     logr.Logger
}

func (w *worker) run(ctx context.Context) error {
	spec, err := w.engine.Bundle(ctx, w.index.Ref, w.index.Run)
	if err != nil {
		return err
	}
	left, err := w.engine.Left(ctx, w.index)
	if err != nil {
		return err
	}
	w.log.Info("Index begins", "left", left)
	began := time.Now()
	w.follow(ctx, &spec.Spec)
	beside, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.beside(beside, &spec.Spec)
	}()
	err = w.engine.WorkIndex(ctx, w.index)
	stop()
	<-done
	took := time.Since(began)
	w.log.Info(map[bool]string{true: "Index is done", false: "Index is left"}[err == nil], append(w.ended(), "seconds", int(took.Seconds()))...)
	return err
}

// beside reads the channels anew now and then, and tells how far the index is.
func (w *worker) beside(ctx context.Context, spec *crm.ScenarioSpec) {
	follow, report := time.NewTicker(followEvery), time.NewTicker(reportEvery)
	defer follow.Stop()
	defer report.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-follow.C:
			w.follow(ctx, spec)
		case <-report.C:
			if left, err := w.engine.Left(ctx, w.index); err == nil {
				w.log.Info("Index goes on", append(w.ended(), "left", left)...)
			}
		}
	}
}

// ended is what this process brought to which end.
func (w *worker) ended() (out []any) {
	counts := w.engine.Ended()
	for _, state := range []string{dispatch.StateSent, dispatch.StateFailed, dispatch.StateSkipped, dispatch.StateCancelled, dispatch.StateUnknown} {
		if n := counts[state]; n > 0 || state == dispatch.StateSent {
			out = append(out, state, n)
		}
	}
	return out
}

// follow makes the run's channels known. One that cannot be read now keeps its messages waiting.
func (w *worker) follow(ctx context.Context, spec *crm.ScenarioSpec) {
	for _, name := range controllers.ChannelsOf(spec) {
		key := types.NamespacedName{Namespace: w.index.Ref.Namespace, Name: name}
		if _, err := w.configs.Reconcile(ctrl.LoggerInto(ctx, w.log), ctrl.Request{NamespacedName: key}); err != nil && ctx.Err() == nil {
			w.log.Error(err, "Channel could not be read, and is read again", "channel", name)
		}
	}
	if err := w.senders.Know(ctx, w.index.Ref.Namespace, spec); err != nil && ctx.Err() == nil {
		w.log.Error(err, "Webhooks could not be made ready, and are tried again")
	}
}

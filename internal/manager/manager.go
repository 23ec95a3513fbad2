// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manager puts the rooms together into the process that runs in a cluster: the reconcilers,
// the engine and the gateway, on one store and one clock.
package manager

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/controllers"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/channel/email"
	"github.com/kaeru-dev/kaeru/internal/channel/webhook"
	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/gateway"
	"github.com/kaeru-dev/kaeru/internal/recommend"
	"github.com/kaeru-dev/kaeru/internal/report"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// Config is what flags and environment say.
type Config struct {
	// Store is the DSN of the database.
	Store string
	// GatewayAddress is where customers and providers come in; empty for none.
	GatewayAddress string
	// InboundSMTPAddress is where mail servers bring reports about mails; empty for none.
	InboundSMTPAddress string
	// PublicURL is how they reach it.
	PublicURL string
	// MetricsAddress and HealthAddress may be "0" for none.
	MetricsAddress, HealthAddress string
	LeaderElect                   bool
	// Namespace of the lease; empty for the manager's own.
	LeaderElectionNamespace string
	// Workers are the pods of Jobs. PublicURL and WebhookHosts of these are the manager's.
	Workers controllers.Workers
	Clock   clock.Clock
	Log     logr.Logger
	// WebhookHosts are those that webhooks may call.
	WebhookHosts webhook.Hosts
	// Resolver is asked for the signing keys of mail channels; nil for the system's.
	Resolver email.TXTResolver
	// StatusEvery is how often one resource's status is written at most while things happen.
	// 0 for two seconds.
	StatusEvery time.Duration
	// Shards is how many shards are worked on at once; 0 for 8.
	Shards int
	// SkipNameValidation lets one process run several managers, as tests do.
	SkipNameValidation bool
}

// Scheme knows all kinds that the manager reads and writes.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(scheme))
	utilruntime.Must(crm.AddToScheme(scheme))
	return scheme
}

// shutdown is how long what is under way may take to end. Pods are given 30 seconds by default.
const shutdown = 25 * time.Second

// OneClick says whether mails can offer to unsubscribe with one click (RFC 8058): mail clients want
// https for it. A double on the machine itself takes plain http.
func OneClick(publicURL string) bool {
	u, err := url.Parse(publicURL)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// Run runs until ctx ends.
func Run(ctx context.Context, kube *rest.Config, c Config) (err error) {
	st, err := store.Open(ctx, c.Store)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	if err := st.Migrate(ctx); err != nil {
		return fmt.Errorf("bringing the store up to date: %w", err)
	}
	grace := shutdown
	mgr, err := ctrl.NewManager(kube, ctrl.Options{
		Scheme: Scheme(), Logger: c.Log,
		Metrics:                metricsserver.Options{BindAddress: c.MetricsAddress},
		HealthProbeBindAddress: c.HealthAddress,
		LeaderElection:         c.LeaderElect, LeaderElectionID: "kaeru.crm.kaeru.dev",
		LeaderElectionNamespace: c.LeaderElectionNamespace, LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout: &grace,
		Controller:              config.Controller{SkipNameValidation: &c.SkipNameValidation},
	})
	if err != nil {
		return fmt.Errorf("preparing the manager: %w", err)
	}
	compiler := content.NewCompiler(content.Options{})
	defer func() { err = errors.Join(err, compiler.Close()) }()
	if err := build(ctx, mgr, st, compiler, c); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// Signer signs links with the store's key.
func Signer(ctx context.Context, st *store.Store, publicURL string) (*content.Signer, error) {
	key, err := st.Key(ctx, "links")
	if err != nil {
		return nil, fmt.Errorf("reading the key that signs links: %w", err)
	}
	signer, err := content.NewSigner(strings.TrimRight(publicURL, "/"), key)
	if err != nil {
		return nil, fmt.Errorf("--public-url: %w", err)
	}
	return signer, nil
}

// build makes the rooms and joins them.
func build(ctx context.Context, mgr ctrl.Manager, st *store.Store, compiler *content.Compiler, c Config) error {
	signer, err := Signer(ctx, st, c.PublicURL)
	if err != nil {
		return err
	}
	if !OneClick(c.PublicURL) {
		c.Log.Info("Links lead over plain http, so mails go without one-click unsubscription: set --public-url to an https address", "url", c.PublicURL)
	}
	if c.StatusEvery == 0 {
		c.StatusEvery = 2 * time.Second
	}
	scenarios, channelNudges := controllers.NewNudges(c.StatusEvery), controllers.NewNudges(c.StatusEvery)
	channels := dispatch.NewChannels(channelNudges.Nudge)
	// plans becomes true when this replica leads, and has cancelled what was deleted while nobody looked.
	var plans atomic.Bool
	goals := &report.Goals{Store: st, Machine: clock.Real()}
	engine := dispatch.NewEngine(dispatch.Options{
		Store: st, Clock: c.Clock, Compiler: compiler, Signer: signer, OneClick: OneClick(c.PublicURL), Channels: channels, Log: c.Log.WithName("dispatch"),
		Attribute: func(ctx context.Context, a dispatch.Armed) (int64, error) {
			changed, err := Credit(ctx, goals, a)
			if changed > 0 {
				scenarios.Nudge(a.Ref)
			}
			return changed, err
		},
		Convert: Convert, Shards: c.Shards, Leads: plans.Load,
	})
	engine.OnProgress(func(ref dispatch.Ref) {
		scenarios.Nudge(ref)
		for _, channel := range engine.ChannelsOf(ref) {
			channelNudges.Nudge(channel)
		}
	})
	if err := reconcilers(ctx, mgr, st, compiler, engine, channels, scenarios, channelNudges, signer, c); err != nil {
		return err
	}
	if err := probes(mgr, st); err != nil {
		return err
	}
	if err := addEngine(mgr, engine, &plans, c.LeaderElect); err != nil {
		return err
	}
	if err := mgr.Add(leading{wakeChannels(mgr.GetClient(), channelNudges)}); err != nil {
		return err
	}
	keeper := &recommend.Keeper{Store: st, Clock: c.Clock, Log: c.Log.WithName("recommend"), Wanted: engine.Recommending}
	if err := mgr.Add(leading{manager.RunnableFunc(keeper.Run)}); err != nil {
		return err
	}
	if err := mgr.Add(leading{func(ctx context.Context) error { st.KeepStatistics(ctx); return nil }}); err != nil {
		return err
	}
	keys := &gateway.WriteKeys{}
	g, err := gateway.New(gateway.Config{
		Store: st, Clock: c.Clock, PublicURL: c.PublicURL, Links: signer, Log: c.Log.WithName("gateway"),
		Credentials: gateway.CredentialsFunc(secrets(channels)), WriteKeys: keys,
		Notify:        func(ns, scenario string) { scenarios.Nudge(dispatch.Ref{Namespace: ns, Name: scenario}) },
		NotifyChannel: func(ns, name string) { channelNudges.Nudge(dispatch.Ref{Namespace: ns, Name: name}) },
		Alert:         func(ns, name, reason string) { channels.Alert(dispatch.Ref{Namespace: ns, Name: name}, reason) },
		Shop:          shops(mgr.GetAPIReader()),
	})
	if err != nil {
		return err
	}
	if err := mgr.Add(leading{manager.RunnableFunc(func(ctx context.Context) error { return g.Unheard(ctx, askers(channels)) })}); err != nil {
		return err
	}
	if c.InboundSMTPAddress != "" {
		inbound := manager.RunnableFunc(func(ctx context.Context) error { return g.ServeSMTP(ctx, c.InboundSMTPAddress) })
		if err := mgr.Add(everywhere{inbound}); err != nil {
			return err
		}
	}
	if c.GatewayAddress == "" {
		return nil
	}
	writeKeys := &controllers.WriteKeyReconciler{Live: mgr.GetAPIReader(), Recorder: mgr.GetEventRecorder("kaeru"), Set: keys.Set}
	if err := writeKeys.SetupWithManager(mgr); err != nil {
		return err
	}
	return mgr.Add(everywhere{manager.RunnableFunc(func(ctx context.Context) error { return g.Serve(ctx, c.GatewayAddress) })})
}

// Credit credits the orders that arrived to a scenario.
func Credit(ctx context.Context, goals *report.Goals, a dispatch.Armed) (changed int64, err error) {
	goal := a.Compiled.Bundle.Spec.Goal
	if goal == nil {
		return 0, nil
	}
	return goals.Follow(ctx, a.Namespace, a.Name, a.Epoch, report.GoalOf(goal))
}

// Convert credits events that are a scenario's goal to what it sent to these customers.
func Convert(ctx context.Context, tx *store.Tx, a dispatch.Armed, customers []string) (changed int64, err error) {
	return report.Convert(ctx, tx, a.Namespace, a.Name, a.Epoch, report.GoalOf(a.Compiled.Bundle.Spec.Goal), customers)
}

func reconcilers(ctx context.Context, mgr ctrl.Manager, st *store.Store, compiler *content.Compiler, engine *dispatch.Engine,
	channels *dispatch.Channels, scenarios, channelNudges *controllers.Nudges, signer *content.Signer, c Config,
) error {
	if err := controllers.SetupIndexes(ctx, mgr); err != nil {
		return fmt.Errorf("preparing indexes: %w", err)
	}
	recorder := mgr.GetEventRecorder("kaeru")
	segments := &controllers.SegmentReconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Recorder: recorder, Clock: c.Clock,
		Audience: &audience.Refresher{Store: st, Clock: c.Clock},
	}
	nudges := controllers.NewNudges(c.StatusEvery)
	if err := segments.SetupWithManager(mgr, nudges); err != nil {
		return err
	}
	if err := mgr.Add(leading{followerRunnable(mgr, &audience.Follower{
		Refresher: segments.Audience, Log: c.Log.WithName("segments"),
		Changed: func(ns, name string) { nudges.Nudge(dispatch.Ref{Namespace: ns, Name: name}) },
		Behind: func(ns, name string) {
			segments.Behind(ns, name)
			nudges.Nudge(dispatch.Ref{Namespace: ns, Name: name})
		},
	})}); err != nil {
		return err
	}
	leads := elected(mgr, c.LeaderElect)
	configs := &controllers.ChannelConfigReconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Recorder: recorder, Clock: c.Clock,
		Store: st, Channels: channels, PublicURL: c.PublicURL, Resolver: c.Resolver, BounceToken: signer.BounceToken,
		Leads: leads,
	}
	if err := configs.SetupWithManager(mgr, channelNudges); err != nil {
		return err
	}
	webhooks := &controllers.WebhookSenders{Allowed: c.WebhookHosts, Live: mgr.GetAPIReader(), Channels: channels}
	if err := webhooks.SetupWithManager(mgr, leads); err != nil {
		return err
	}
	workers := c.Workers
	workers.PublicURL, workers.WebhookHosts = c.PublicURL, c.WebhookHosts.String()
	return (&controllers.ScenarioReconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Recorder: recorder, Clock: c.Clock,
		Store: st, Engine: engine, Compiler: compiler, Segments: segments, Channels: channels, Workers: workers, Webhooks: webhooks,
	}).SetupWithManager(mgr, scenarios)
}

// elected tells whether this replica leads.
func elected(mgr ctrl.Manager, elects bool) func() bool {
	return func() bool {
		if !elects {
			return true
		}
		select {
		case <-mgr.Elected():
			return true
		default:
			return false
		}
	}
}

// wakeChannels has a new leader check what it followed until now.
func wakeChannels(c client.Reader, nudges *controllers.Nudges) manager.RunnableFunc {
	return func(ctx context.Context) error {
		var all crm.ChannelConfigList
		if err := c.List(ctx, &all); err != nil {
			return fmt.Errorf("listing channels: %w", err)
		}
		for i := range all.Items {
			nudges.Nudge(dispatch.Ref{Namespace: all.Items[i].Namespace, Name: all.Items[i].Name})
		}
		return nil
	}
}

// sweep cancels what was deleted while nobody looked.
func sweep(ctx context.Context, mgr ctrl.Manager, engine *dispatch.Engine) error {
	known, err := engine.Known(ctx)
	if err != nil {
		return err
	}
	for _, ref := range known {
		deleted, err := isDeleted(ctx, mgr, &crm.Scenario{}, ref.Namespace, ref.Name)
		if err != nil {
			return err
		}
		if !deleted {
			continue
		}
		if _, err := engine.Cancel(ctx, ref); err != nil {
			return err
		}
	}
	return nil
}

// addEngine has every replica send, and the one that leads plan. What was deleted while nobody looked is
// cancelled before anything is sent, and again by each new leader.
func addEngine(mgr ctrl.Manager, engine *dispatch.Engine, plans *atomic.Bool, elects bool) error {
	swept := make(chan struct{})
	err := mgr.Add(everywhere{func(ctx context.Context) error {
		if !mgr.GetCache().WaitForCacheSync(ctx) {
			return nil
		}
		if err := sweep(ctx, mgr, engine); err != nil {
			return err
		}
		close(swept)
		return engine.Run(ctx)
	}})
	if err != nil {
		return err
	}
	return mgr.Add(leading{func(ctx context.Context) error {
		select {
		case <-swept:
		case <-ctx.Done():
			return nil
		}
		if elects {
			if err := sweep(ctx, mgr, engine); err != nil {
				return err
			}
		}
		plans.Store(true)
		engine.Wake()
		return nil
	}})
}

// followerRunnable follows facts, once segments that were deleted while nobody looked are forgotten.
func followerRunnable(mgr ctrl.Manager, follower *audience.Follower) manager.RunnableFunc {
	return func(ctx context.Context) error {
		known, err := follower.Known(ctx)
		if err != nil {
			return err
		}
		for _, segment := range known {
			deleted, err := isDeleted(ctx, mgr, &crm.Segment{}, segment.Namespace, segment.Segment)
			if err != nil {
				return err
			}
			if !deleted {
				continue
			}
			if err := follower.Delete(ctx, segment.Namespace, segment.Segment); err != nil {
				return err
			}
		}
		return follower.Run(ctx)
	}
}

// isDeleted asks the API server itself.
func isDeleted(ctx context.Context, mgr ctrl.Manager, o client.Object, namespace, name string) (bool, error) {
	err := mgr.GetAPIReader().Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, o)
	if apierrors.IsNotFound(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for what was deleted: %w", err)
	}
	return !o.GetDeletionTimestamp().IsZero(), nil
}

func probes(mgr ctrl.Manager, st *store.Store) error {
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return err
	}
	return mgr.AddReadyzCheck("store", func(r *http.Request) error { return st.Ping(r.Context()) })
}

func secrets(channels *dispatch.Channels) func(ns, name, kind string) (string, bool) {
	return func(ns, name, kind string) (string, bool) {
		ch, ok := channels.Configured(dispatch.Ref{Namespace: ns, Name: name})
		channel, _, _ := strings.Cut(kind, "/")
		if !ok || ch.Kind != channel {
			return "", false
		}
		secret := map[string]string{
			string(crm.ChannelLine): ch.ChannelSecret, string(crm.ChannelSMS): ch.AuthToken,
			gateway.CredentialSES: ch.EmailWebhooks.SESTopicARN, gateway.CredentialSendGrid: ch.EmailWebhooks.SendGridPublicKey,
			gateway.CredentialMailgun: ch.EmailWebhooks.MailgunSigningKey,
		}[kind]
		return secret, secret != ""
	}
}

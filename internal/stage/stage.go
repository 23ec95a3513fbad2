// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package stage plays stories: resources are applied to a real API server, what a shop learns is
// imported, customers do this and that, days pass, and what reaches the customers is held against what
// the story says. The clock stands still while there is something to do, and then goes on to the next
// moment at which there is; so a month takes seconds, and comes out the same each time.
//
// The rooms are put together as the manager does it, and their loops are driven by hand. The providers
// are the sandbox's. A namespace is needed by its name, because who is held out, and who gets which
// variant, is drawn by it too: so there is one play at a time.
package stage

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/testr"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kaeru-dev/kaeru/controllers"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/gateway"
	"github.com/kaeru-dev/kaeru/internal/manager"
	"github.com/kaeru-dev/kaeru/internal/recommend"
	"github.com/kaeru-dev/kaeru/internal/report"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const (
	// namespace is that of the samples.
	namespace = "shop"
	// publicURL is where links lead. The gateway answers there without a network.
	publicURL = "https://links.shop.example"
)

// compiler is one for all plays, because it takes seconds to begin.
var compiler = sync.OnceValue(func() *content.Compiler { return content.NewCompiler(content.Options{}) })

// stage is a shop with all that Kaeru does for it.
type stage struct {
	*testing.T
	ctx     context.Context
	cluster *testenv.Cluster
	client  client.Client
	// clock is in UTC, as that of a pod; zone is the story's.
	clock   *clocktesting.FakeClock
	zone    *time.Location
	store   *store.Store
	doubles *sandbox.Sandbox
	gateway *gateway.Gateway

	engine                        *dispatch.Engine
	steps                         *dispatch.Steps
	follower                      *audience.Follower
	keeper                        *recommend.Keeper
	channels, segments, scenarios *desk
	// due is when the clock alone gives the engine something to do again; zero for never.
	due time.Time
	// tracked counts the events, which need ids.
	tracked int
}

// Play applies directories of resources, and plays the story in the last one's timeline.yaml on an empty
// store. The test fails with a table of what was to happen and what did where that is not the same.
func Play(t *testing.T, dsn string, dirs ...string) {
	t.Helper()
	dir := dirs[len(dirs)-1]
	story, err := ReadStory(filepath.Join(dir, "timeline.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t, dsn, story)
	s.play(story, dirs)
	if difference := story.compare(s.ends()); difference != "" {
		t.Errorf("%s does not go as its story says:\n%s", dir, difference)
	}
}

func newStage(t *testing.T, dsn string, story *Story) *stage {
	t.Helper()
	cluster := testenv.ControlPlane(t)
	s := &stage{T: t, cluster: cluster, clock: clocktesting.NewFakeClock(story.Begins.UTC()), zone: story.Begins.Location()}
	s.ctx = ctrl.LoggerInto(t.Context(), testr.New(t))
	ctrl.SetLogger(logr.Discard()) // what is done here has the test's
	direct, err := client.New(cluster.Config, client.Options{Scheme: manager.Scheme()})
	s.ok(err)
	s.client = newMemory(direct)
	s.store, err = store.Open(t.Context(), dsn)
	s.ok(err)
	t.Cleanup(func() { _ = s.store.Close() })
	s.ok(s.store.Migrate(t.Context()))
	s.doubles, err = sandbox.Start(t.Context(), sandbox.Config{Clock: s.clock, LINE: []sandbox.LINEChannel{s.account()}})
	s.ok(err)
	t.Cleanup(func() { _ = s.doubles.Close() })
	s.build()
	return s
}

// build puts the rooms together.
func (s *stage) build() {
	key, err := s.store.Key(s.ctx, "links")
	s.ok(err)
	signer, err := content.NewSigner(publicURL, key)
	s.ok(err)
	log := testr.New(s.T)
	channels := dispatch.NewChannels(func(ref dispatch.Ref) { s.channels.nudge(ref) })
	// A burst of orders ends on this clock too.
	goals := &report.Goals{Store: s.store, Machine: s.clock}
	s.engine = dispatch.NewEngine(dispatch.Options{
		Store: s.store, Clock: s.clock, Compiler: compiler(), Signer: signer, OneClick: true, Channels: channels, Log: log,
		Attribute: func(ctx context.Context, a dispatch.Armed) (int64, error) { return manager.Credit(ctx, goals, a) },
		Convert:   manager.Convert,
	})
	s.keeper = &recommend.Keeper{Store: s.store, Clock: s.clock, Log: log, Wanted: s.engine.Recommending}
	s.engine.OnProgress(func(ref dispatch.Ref) { s.scenarios.nudge(ref) })
	s.steps = s.engine.ByHand()
	s.Cleanup(s.steps.Close)

	recorder := &events.FakeRecorder{} // which forgets them
	segments := &controllers.SegmentReconciler{
		Client: s.client, Live: s.client, Recorder: recorder, Clock: s.clock,
		Audience: &audience.Refresher{Store: s.store, Clock: s.clock},
	}
	s.follower = &audience.Follower{
		Refresher: segments.Audience, Log: log,
		Changed: func(ns, name string) { s.segments.nudge(dispatch.Ref{Namespace: ns, Name: name}) },
		Behind: func(ns, name string) {
			segments.Behind(ns, name)
			s.segments.nudge(dispatch.Ref{Namespace: ns, Name: name})
		},
	}
	s.segments = newDesk(segments, s.clock)
	// Without a public address providers call nobody back: their doubles would, but at any time.
	s.channels = newDesk(&controllers.ChannelConfigReconciler{
		Client: s.client, Live: s.client, Recorder: recorder, Clock: s.clock, Store: s.store, Channels: channels,
	}, s.clock)
	s.channels.machine = true
	s.scenarios = newDesk(&controllers.ScenarioReconciler{
		Client: s.client, Live: s.client, Recorder: recorder, Clock: s.clock,
		Store: s.store, Engine: s.engine, Compiler: compiler(), Segments: segments, Channels: channels, Workers: controllers.Workers{Image: "kaeru"},
		Webhooks: &controllers.WebhookSenders{Live: s.client, Channels: channels},
	}, s.clock)
	s.gateway, err = gateway.New(gateway.Config{
		Store: s.store, Clock: s.clock, PublicURL: publicURL, Links: signer, Log: log,
		Credentials: gateway.CredentialsFunc(func(_, _, kind string) (string, bool) { return lineSecret, kind == store.ChannelLINE }),
		Notify:      func(ns, scenario string) { s.scenarios.nudge(dispatch.Ref{Namespace: ns, Name: scenario}) },
	})
	s.ok(err)
}

// now is the moment as the story's author writes it.
func (s *stage) now() string { return s.clock.Now().In(s.zone).Format(time.RFC3339) }

func (s *stage) ok(err error) {
	s.Helper()
	if err != nil {
		s.Fatalf("%s: %v", s.now(), err)
	}
}

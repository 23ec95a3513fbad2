// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package manager_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/controllers"
	"github.com/kaeru-dev/kaeru/internal/channel/email"
	"github.com/kaeru-dev/kaeru/internal/channel/webhook"
	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/ingest"
	"github.com/kaeru-dev/kaeru/internal/manager"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// shop is a namespace with a store, doubles of the providers, and a manager that can be started
// and stopped.
type shop struct {
	t       *testing.T
	ns, dsn string
	cluster *testenv.Cluster
	client  client.Client
	sandbox *sandbox.Sandbox
	clock   clock.Clock
	// kube is what the manager reaches the API server with.
	kube *rest.Config
	// public is where the gateway listens.
	public string
	// shards are how many the manager works on at once; 0 is its default.
	shards int
	// elects lets one of several managers lead.
	elects bool
	// hosts are those that webhooks may call.
	hosts webhook.Hosts
	// resolver is what the manager asks for signing keys.
	resolver email.TXTResolver
}

func newShop(t *testing.T, dsn string, clk clock.Clock) *shop {
	t.Helper()
	ctrl.SetLogger(testr.NewWithOptions(t, testr.Options{}))
	return newShopIn(t, testenv.ControlPlane(t), dsn, clk)
}

func newShopIn(t *testing.T, cluster *testenv.Cluster, dsn string, clk clock.Clock) *shop {
	t.Helper()
	c, err := client.New(cluster.Config, client.Options{Scheme: manager.Scheme()})
	must(t, err)
	doubles, err := sandbox.Start(t.Context(), sandbox.Config{Clock: clk, SentAfter: sandbox.Duration(10 * time.Millisecond), DeliveredAfter: sandbox.Duration(20 * time.Millisecond)})
	must(t, err)
	t.Cleanup(func() { _ = doubles.Close() })
	s := &shop{
		t: t, ns: cluster.Namespace(t), dsn: dsn, cluster: cluster, client: c, sandbox: doubles, clock: clk,
		kube: rest.CopyConfig(cluster.Config), public: freeAddress(t), hosts: webhook.Hosts{"hooks.shop.example"},
	}
	return s
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { must(t, l.Close()) }()
	return l.Addr().String()
}

// start runs a manager until the returned function is called, or the test ends.
func (s *shop) start() (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- manager.Run(ctx, s.kube, manager.Config{
			Store: s.dsn, GatewayAddress: s.public, PublicURL: "http://" + s.public, MetricsAddress: "0", HealthAddress: "0",
			Clock: s.clock, Log: ctrl.Log.WithName("manager"), StatusEvery: 200 * time.Millisecond, Workers: controllers.Workers{Image: "kaeru", ServiceAccount: "kaeru-worker", StoreSecret: "kaeru-store", StoreKey: "dsn"},
			WebhookHosts: s.hosts, Resolver: s.resolver, Shards: s.shards,
			LeaderElect: s.elects, LeaderElectionNamespace: s.ns,
			// Each manager of a process registers its controllers anew.
			SkipNameValidation: true,
		})
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		// What keeps it from ending can only be seen while it does.
		slow := time.AfterFunc(20*time.Second, func() { _ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1) })
		defer slow.Stop()
		if err := <-done; err != nil {
			s.t.Errorf("the manager ended with: %v", err)
		}
	}
	s.t.Cleanup(stop)
	return stop
}

func (s *shop) apply(manifests string) {
	s.t.Helper()
	s.cluster.Run(s.t, s.fill(manifests), "apply", "--server-side", "--force-conflicts", "-n", s.ns, "-f", "-")
}

// fill writes the doubles' addresses into manifests.
func (s *shop) fill(manifests string) string {
	u := s.sandbox.URLs()
	host, port, err := net.SplitHostPort(u.SMTP)
	must(s.t, err)
	return strings.NewReplacer("$LINE", u.LINE, "$TWILIO", u.Twilio, "$SMTP_HOST", host, "$SMTP_PORT", port).Replace(manifests)
}

// ingest loads CSV rows.
func (s *shop) ingest(kind, rows string) {
	s.t.Helper()
	st, err := store.Open(s.t.Context(), s.dsn)
	must(s.t, err)
	defer func() { must(s.t, st.Close()) }()
	must(s.t, st.Migrate(s.t.Context()))
	result, err := ingest.Run(s.t.Context(), st, s.ns, kind, strings.NewReader(rows), ingest.CSV, ingest.Options{Clock: s.clock})
	must(s.t, err)
	if result.Refused > 0 {
		s.t.Fatalf("rows were refused: %v", result.First)
	}
}

func (s *shop) scenario(name string) *crm.Scenario {
	s.t.Helper()
	var out crm.Scenario
	must(s.t, s.client.Get(s.t.Context(), types.NamespacedName{Namespace: s.ns, Name: name}, &out))
	return &out
}

// eventually waits until f has nothing to complain about.
func (s *shop) eventually(within time.Duration, f func() error) {
	s.t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := f()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("after %s: %v", within, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// ready waits for resources as a user would.
func (s *shop) ready(resources ...string) {
	s.t.Helper()
	s.cluster.Run(s.t, "", append([]string{"wait", "-n", s.ns, "--for=condition=Ready", "--timeout=60s"}, resources...)...)
}

func (s *shop) arrived(channel string) []sandbox.Message {
	s.t.Helper()
	all, err := s.sandbox.Client().All(s.t.Context(), sandbox.Query{Channel: channel})
	must(s.t, err)
	return all
}

// status is a resource's status for an error message.
func show(v any) string {
	text, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// channels are one of each kind, with the doubles' credentials.
const channels = `
apiVersion: v1
kind: Secret
metadata: {name: line}
stringData: {channelAccessToken: sandbox-line-token, channelSecret: secret}
---
apiVersion: v1
kind: Secret
metadata: {name: twilio}
stringData: {accountSID: AC00000000000000000000000000000001, authToken: sandboxtwiliotoken}
---
apiVersion: v1
kind: Secret
metadata: {name: smtp}
stringData: {username: sandbox, password: sandbox-smtp-password}
---
apiVersion: crm.kaeru.dev/v1alpha1
kind: ChannelConfig
metadata: {name: line-main}
spec:
  line: {credentialsSecretRef: {name: line}, endpoint: "$LINE"}
  rateLimit: {perSecond: 5000}
  cost: {perMessage: "3.3", currency: JPY}
---
apiVersion: crm.kaeru.dev/v1alpha1
kind: ChannelConfig
metadata: {name: email-main}
spec:
  email:
    from: "Kaeru Shop <news@shop.example>"
    smtp: {host: "$SMTP_HOST", port: $SMTP_PORT, tls: Disabled, credentialsSecretRef: {name: smtp}}
  rateLimit: {perSecond: 5000}
---
apiVersion: crm.kaeru.dev/v1alpha1
kind: ChannelConfig
metadata: {name: sms-main}
spec:
  sms: {twilio: {credentialsSecretRef: {name: twilio}, from: "+815012345678", endpoint: "$TWILIO"}}
  rateLimit: {perSecond: 5000}
  cost: {perMessage: 10, currency: JPY}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kaeru-shop}
data: {name: Kaeru Shop, url: "https://shop.example", timeZone: Asia/Tokyo, currency: JPY}
---
`

// follow asks for an address as a browser does, without going on to where it leads.
func follow(t *testing.T, address string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	must(t, err)
	req.Header.Set("User-Agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1")
	c := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Do(req)
	must(t, err)
	must(t, res.Body.Close())
	if res.StatusCode != http.StatusFound {
		t.Fatalf("GET %s: %s", address, res.Status)
	}
}

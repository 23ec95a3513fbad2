// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package manager_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// everyCondition has a Segment for each kind of condition, with how many belong to it at first, and
// after what comes in.
var everyCondition = map[string]struct {
	condition     string
	before, after int64
}{
	"attribute":     {`attribute: {name: prefecture, in: [Tokyo]}`, 2, 2},
	"orders":        {`orders: {atLeast: 2}`, 1, 2},
	"spend":         {`spend: {topPercent: 50}`, 1, 1},
	"first-order":   {`firstOrder: {within: 30d}`, 2, 2},
	"last-order":    {`lastOrder: {within: 12h}`, 0, 1},
	"event":         {`event: {name: Product Viewed, where: {category: [tea]}}`, 1, 2},
	"cart":          {`event: {name: Product Added, within: 7d, notFollowedBy: {name: Order Completed, within: 2h}}`, 1, 1},
	"lifecycle":     {`lifecycle: {in: [Second]}`, 1, 2},
	"rfm":           {`rfm: {frequency: {atLeast: 5}}`, 1, 2},
	"subscription":  {`subscription: {status: [Active], nextDeliveryWithin: 3d}`, 1, 1},
	"reachable":     {`reachable: {channels: [email]}`, 2, 3},
	"engagement":    {`engagement: {kind: Clicked, exactly: 0}`, 3, 4},
	"replenishment": {`replenishment: {dueWithin: 7d}`, 0, 0},
	"favourite":     {`favourite: {category: tea}`, 0, 1},
	"segment":       {`segment: {name: orders}`, 1, 2},
	"expression":    {`expression: customer.orders > 1 && customer.prefecture != "Osaka"`, 1, 1},
}

func segmentOf(name, condition, interval string) string {
	return fmt.Sprintf("apiVersion: crm.kaeru.dev/v1alpha1\nkind: Segment\nmetadata: {name: %s}\nspec:\n  refreshInterval: %s\n  match: {all: [{%s}]}\n---\n", name, interval, condition)
}

// TestSegmentsFollowFacts has a Segment of each kind, none of which is due for hours: what comes in
// must be in their status within seconds.
func TestSegmentsFollowFacts(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		s := newShop(t, dsn, clock.Real())
		at := func(ago time.Duration) string { return time.Now().Add(-ago).UTC().Format(time.RFC3339) }
		const day = 24 * time.Hour
		s.ingest("products", "id,name,category\np1,Sencha,tea\n")
		s.ingest("customers", "id,email,consent_email,prefecture\na,a@example.com,granted,Tokyo\nb,b@example.com,granted,Osaka\nc,,granted,Tokyo\n")
		s.ingest("orders", "id,customer_id,placed_at,total,status\n"+
			"o1,a,"+at(10*day)+",3000,paid\no2,a,"+at(5*day)+",3000,paid\no3,b,"+at(20*day)+",1000,paid\n")
		s.ingest("events", "id,customer_id,name,occurred_at,properties\n"+
			"e1,a,Product Viewed,"+at(day)+",\"{\"\"category\"\":\"\"tea\"\"}\"\ne2,b,Product Added,"+at(day)+",{}\n")
		s.ingest("subscriptions", "id,customer_id,plan,status,next_delivery_at\ns1,b,monthly,Active,"+at(-2*day)+"\n")
		s.start()
		var manifests strings.Builder
		for name, c := range everyCondition {
			manifests.WriteString(segmentOf(name, c.condition, "12h"))
		}
		s.apply(channels + manifests.String())
		s.cluster.Run(t, "", "wait", "-n", s.ns, "--for=condition=Ready", "--timeout=60s", "segments", "--all")
		check := func(within time.Duration, want func(name string) int64) {
			t.Helper()
			s.eventually(within, func() error {
				for name := range everyCondition {
					segment := s.segment(name)
					if segment.Status.Members == nil || *segment.Status.Members != want(name) {
						return fmt.Errorf("%s: %s, want %d members", name, show(segment.Status), want(name))
					}
				}
				return nil
			})
		}
		check(20*time.Second, func(name string) int64 { return everyCondition[name].before })

		s.ingest("customers", "id,email,consent_email\nd,d@example.com,granted\n")
		s.ingest("orders", "id,customer_id,placed_at,total,status\no4,b,"+at(time.Hour)+",500,paid\n")
		s.ingest("events", "id,customer_id,name,occurred_at,properties\n"+
			"e3,c,Product Viewed,"+at(0)+",\"{\"\"category\"\":\"\"tea\"\"}\"\ne4,b,Product Added to Wishlist,"+at(0)+",\"{\"\"product_id\"\":\"\"p1\"\"}\"\n")
		check(20*time.Second, func(name string) int64 { return everyCondition[name].after })
		if last := s.segment("orders").Status.LastRefresh; last.Mode != "Incremental" || last.Candidates != 1 && last.Candidates != 2 {
			t.Errorf("that was not looked at for those alone for whom it was: %s", show(last))
		}
		s.breakOne()
	})
}

// breakOne takes a column away that one Segment needs. Its status says so, and the others go on.
func (s *shop) breakOne() {
	s.t.Helper()
	st, err := store.Open(s.t.Context(), s.dsn)
	must(s.t, err)
	defer func() { must(s.t, st.Close()) }()
	_, err = st.Exec(s.t.Context(), `ALTER TABLE subscriptions RENAME COLUMN next_delivery_at TO lost`)
	must(s.t, err)
	s.cluster.Run(s.t, "", "annotate", "-n", s.ns, "segments", "--all", "--overwrite", crm.AnnotationRequestedAt+"=broken")
	s.eventually(30*time.Second, func() error {
		for name := range everyCondition {
			segment := s.segment(name)
			ready := meta.FindStatusCondition(segment.Status.Conditions, crm.ConditionReady)
			switch {
			case segment.Status.LastHandledRequest != "broken" && name != "subscription":
				return fmt.Errorf("%s was not refreshed", name)
			case (ready.Status == metav1.ConditionTrue) == (name == "subscription"):
				return fmt.Errorf("%s: %s", name, show(ready))
			case name == "subscription" && (!strings.Contains(ready.Message, "next_delivery_at") || segment.Status.Members == nil || *segment.Status.Members != 1):
				return fmt.Errorf("%s: %s", name, show(segment.Status))
			}
		}
		return nil
	})
	_, err = st.Exec(s.t.Context(), `ALTER TABLE subscriptions RENAME COLUMN lost TO next_delivery_at`)
	must(s.t, err)
	s.ready("segment/subscription")
}

func (s *shop) segment(name string) *crm.Segment {
	s.t.Helper()
	var out crm.Segment
	must(s.t, s.client.Get(s.t.Context(), types.NamespacedName{Namespace: s.ns, Name: name}, &out))
	return &out
}

// TestManyIdleSegments leaves 500 Segments alone: nothing may be written to the API server. What they
// cost is logged, and bounded loosely, since the test's own process and the race detector are in it.
func TestManyIdleSegments(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute: run without -short")
	}
	s := newShop(t, testenv.SQLite(t), clock.Real())
	counted := &writes{}
	s.ingest("customers", "id,email\na,a@example.com\n")
	for i := range 500 {
		must(t, s.client.Create(t.Context(), &crm.Segment{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.ns, Name: fmt.Sprintf("s%03d", i)},
			// The most often that can be asked for: fifteen times the default.
			Spec: crm.SegmentSpec{RefreshInterval: "1m", Match: crm.Match{All: []crm.NestedCondition{
				{Condition: crm.Condition{LastOrder: &crm.AgeCondition{Within: crm.Duration(fmt.Sprintf("%dd", i+1))}}},
				{Condition: crm.Condition{Event: &crm.EventCondition{Name: "Product Viewed", Within: "7d"}}},
			}}},
		}))
	}
	s.kube.QPS, s.kube.Burst = 500, 500
	s.kube.WrapTransport = counted.around
	s.start()
	s.eventually(2*time.Minute, func() error {
		var list crm.SegmentList
		must(t, s.client.List(t.Context(), &list, client.InNamespace(s.ns)))
		for i := range list.Items {
			if !meta.IsStatusConditionTrue(list.Items[i].Status.Conditions, crm.ConditionReady) {
				return fmt.Errorf("%s is not ready", list.Items[i].Name)
			}
		}
		return nil
	})
	time.Sleep(3 * time.Second)
	counted.drain()
	const idle = time.Minute
	before := cpu(t)
	time.Sleep(idle)
	share := float64(cpu(t)-before) / float64(idle)
	t.Logf("500 idle segments took %.2f %% of a core", 100*share)
	if seen := counted.drain(); len(seen) > 0 {
		t.Errorf("idle segments wrote to the API server: %v", seen)
	}
	if share > 0.5 {
		t.Errorf("500 idle segments took %.0f %% of a core", 100*share)
	}
}

// cpu is what this process has used.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	must(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

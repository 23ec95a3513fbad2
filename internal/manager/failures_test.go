// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package manager_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/ingest"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// failure is a row of the table of failures: what a provider does, and how everybody hears of it.
type failure struct {
	// channel is line-main, sms-main or email-main.
	channel string
	// faults hold from when everything is ready; early ones before, when the channel is checked.
	faults, early []string
	// slow rows wait for a timeout, and do not count among those that are played at once.
	slow bool
	// customers get a message each; 0 is one.
	customers int
	// spec is changed in the manifests before they are applied, in pairs.
	spec []string

	// rows is the state, reason and marks of each customer's message, in a word or two: "sent delivered".
	rows string
	// suppressed is why the customers' addresses are not used again; empty where they are.
	suppressed string
	// notReady is the reason of the channel's Ready where it is False, and conditions others that are.
	notReady   string
	conditions []string
	// event is the reason of the Warning, and says is in it and, where the channel is not ready, in its status.
	event, says string
	// about is what the Warning is about; empty for the channel.
	about string
	// taken is how many messages the provider has that it did not give back.
	taken int
	// then goes on from there.
	then func(*failing)
}

// within is how long a row may take. Most take seconds: what takes longer waits for a timeout.
const within = 2 * time.Minute

// atOnce is how many rows a store plays at a time.
const atOnce = 10

// failing is a row that is played: a namespace and doubles of its own, and the manager of all rows.
type failing struct {
	*shop
	failure
	store *store.Store
}

// TestFailures plays each row of the table through the SDKs and sockets: the message's end, what is
// suppressed or paused, what the status and the Events say, and that nothing is sent twice.
func TestFailures(t *testing.T) {
	ctrl.SetLogger(logr.Discard())
	var stores sync.WaitGroup
	for name, open := range map[string]func(testing.TB) string{"sqlite": testenv.SQLite, "postgres": testenv.Postgres} {
		stores.Go(func() {
			t.Run(name, func(t *testing.T) {
				// Two managers of one cluster would both take each Scenario for theirs.
				s := newShopIn(t, testenv.OwnControlPlane(t), open(t), clock.Real())
				st, err := store.Open(t.Context(), s.dsn)
				must(t, err)
				t.Cleanup(func() { must(t, st.Close()) })
				must(t, st.Migrate(t.Context()))
				s.shards = len(failures) // one that waits for a timeout must not keep the others waiting
				s.start()
				var rows sync.WaitGroup
				places := make(chan struct{}, atOnce)
				for name, row := range failures {
					rows.Go(func() {
						if !row.slow {
							places <- struct{}{}
							defer func() { <-places }()
						}
						t.Run(name, func(t *testing.T) { s.play(t, st, row) })
					})
				}
				rows.Wait()
			})
		})
	}
	stores.Wait()
}

func (s *shop) play(t *testing.T, st *store.Store, row failure) {
	f := &failing{failure: row, store: st}
	f.shop = &shop{t: t, ns: s.cluster.Namespace(t), dsn: s.dsn, cluster: s.cluster, client: s.client, clock: s.clock, public: s.public}
	doubles, err := sandbox.Start(context.Background(), sandbox.Config{
		SentAfter: sandbox.Duration(300 * time.Millisecond), DeliveredAfter: sandbox.Duration(300 * time.Millisecond), Presets: row.early,
		LINE: []sandbox.LINEChannel{{
			Name: "line-main", Token: sandbox.DefaultLINEToken, DisplayName: "Kaeru Shop", BasicID: "@kaeru", Secret: "secret",
			WebhookURL: "http://" + s.public + "/v1/webhooks/line/" + f.ns + "/line-main",
		}},
	})
	must(t, err)
	t.Cleanup(func() { _ = doubles.Close() })
	f.sandbox = doubles
	f.customers = max(f.customers, 1)
	f.begin()
	f.happened()
	f.holds(row.rows, row.taken)
	if row.then != nil {
		row.then(f)
	}
}

const letters = `
apiVersion: crm.kaeru.dev/v1alpha1
kind: Scenario
metadata: {name: tell}
spec:
  trigger: {event: {name: go}}
  steps:
  - name: tell
    $STEP
`

var steps = map[string]string{
	"line-main":  `line: {channel: line-main, messages: [{type: text, text: "お知らせ https://shop.example/{{ customer.id }}"}]}`,
	"sms-main":   `sms: {channel: sms-main, text: "お知らせ https://shop.example/{{ customer.id }} {{ links.unsubscribe }}"}`,
	"email-main": `email: {channel: email-main, subject: "お知らせ", text: "{{ customer.id }} https://shop.example/"}`,
}

// begin applies everything, and lets the customers in when the channel is ready and the faults hold.
func (f *failing) begin() {
	f.t.Helper()
	manifests := f.fill(channels + strings.Replace(letters, "$STEP", steps[f.failure.channel], 1))
	f.create(strings.NewReplacer(f.spec...).Replace(manifests))
	var ids, events []string
	for i := range f.customers {
		c := f.customer(i)
		ids = append(ids, fmt.Sprintf("%s,%s,%s,%s,true,true,true", c.id, c.email, c.line, c.phone))
		events = append(events, fmt.Sprintf("%s,%s,go,%s", c.id, c.id, time.Now().UTC().Format(time.RFC3339Nano)))
	}
	f.load("customers", "id,email,line_user_id,phone,consent_email,consent_line,consent_sms\n"+strings.Join(ids, "\n")+"\n")
	f.eventually(within, func() error {
		if ready := f.condition(f.scenario("tell").Status.Conditions, crm.ConditionReady); ready == nil || ready.Status != metav1.ConditionTrue {
			return fmt.Errorf("the Scenario is not ready: %s", show(ready))
		}
		if ready := f.condition(f.config().Status.Conditions, crm.ConditionReady); len(f.early) == 0 && (ready == nil || ready.Status != metav1.ConditionTrue) {
			return fmt.Errorf("the channel is not ready: %s", show(ready))
		}
		return nil
	})
	for _, spec := range f.faults {
		_, err := f.sandbox.Client().AddPreset(f.t.Context(), spec)
		must(f.t, err)
	}
	f.load("events", "id,customer_id,name,occurred_at\n"+strings.Join(events, "\n")+"\n")
}

// happened waits until each fault has hit: what holds before that says nothing.
func (f *failing) happened() {
	f.t.Helper()
	f.eventually(within, func() error {
		all, err := f.sandbox.Client().Faults(f.t.Context())
		must(f.t, err)
		for _, a := range all {
			if a.Hit == 0 {
				return fmt.Errorf("%s has not happened", a.ID)
			}
		}
		return nil
	})
}

type customer struct{ id, email, line, phone string }

// customer has an id and addresses that no other row has.
func (f *failing) customer(i int) customer {
	return customer{fmt.Sprintf("c%d", i), fmt.Sprintf("c%d@shop.example", i), fmt.Sprintf("U%032x", i), fmt.Sprintf("+8190000000%02d", i)}
}

func (f *failing) load(kind, rows string) {
	f.t.Helper()
	result, err := ingest.Run(f.t.Context(), f.store, f.ns, kind, strings.NewReader(rows), ingest.CSV, ingest.Options{Clock: f.clock})
	must(f.t, err)
	if result.Refused > 0 {
		f.t.Fatalf("rows were refused: %v", result.First)
	}
}

// create makes resources without a process for each row.
func (f *failing) create(manifests string) {
	f.t.Helper()
	for _, text := range strings.Split(manifests, "\n---\n") {
		var o unstructured.Unstructured
		must(f.t, yaml.Unmarshal([]byte(text), &o.Object))
		if len(o.Object) == 0 || f.isOthers(&o) {
			continue
		}
		o.SetNamespace(f.ns)
		must(f.t, f.client.Create(f.t.Context(), &o))
	}
}

// isOthers says that something belongs to a channel that the row does not use.
func (f *failing) isOthers(o *unstructured.Unstructured) bool {
	needed := map[string][]string{
		"Secret":        {map[string]string{"line-main": "line", "sms-main": "twilio", "email-main": "smtp"}[f.failure.channel]},
		"ChannelConfig": {f.failure.channel},
	}[o.GetKind()]
	return needed != nil && !slices.Contains(needed, o.GetName())
}

func (f *failing) config() *crm.ChannelConfig {
	f.t.Helper()
	var out crm.ChannelConfig
	must(f.t, f.client.Get(f.t.Context(), types.NamespacedName{Namespace: f.ns, Name: f.failure.channel}, &out))
	return &out
}

// eventually is the shop's, but looks less often: a hundred rows do at once.
func (f *failing) eventually(within time.Duration, check func() error) {
	f.t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("after %s: %v", within, err)
		}
		time.Sleep(400 * time.Millisecond)
	}
}

func (f *failing) condition(all []metav1.Condition, kind string) *metav1.Condition {
	return meta.FindStatusCondition(all, kind)
}

// holds waits until all is as the row says, and fails with what is not.
func (f *failing) holds(rows string, taken int) {
	f.t.Helper()
	f.eventually(within, func() error {
		if err := f.checkRows(rows); err != nil {
			return err
		}
		if err := f.checkSuppressed(); err != nil {
			return err
		}
		if err := f.checkChannel(); err != nil {
			return err
		}
		return f.checkTaken(taken)
	})
}

func (f *failing) checkRows(want string) error {
	rows, err := f.store.Query(f.t.Context(), `SELECT state, reason, delivered_at IS NOT NULL, bounced_at IS NOT NULL FROM messages WHERE ns = $1`, f.ns)
	must(f.t, err)
	defer func() { _ = rows.Close() }()
	n := 0
	for rows.Next() {
		var state, reason string
		var delivered, bounced bool
		must(f.t, rows.Scan(&state, &reason, &delivered, &bounced))
		got := []string{state}
		for word, there := range map[string]bool{reason: reason != "", "delivered": delivered, "bounced": bounced} {
			if there {
				got = append(got, word)
			}
		}
		wanted := strings.Fields(want)
		slices.Sort(got)
		slices.Sort(wanted)
		if n++; !slices.Equal(got, wanted) {
			return fmt.Errorf("a message is %q, want %q", got, want)
		}
	}
	if err := rows.Err(); err != nil || n == f.customers {
		return err
	}
	var listeners, arrived, enrolled int
	must(f.t, f.store.QueryRow(f.t.Context(), `SELECT (SELECT COUNT(*) FROM listeners WHERE ns = $1), (SELECT COUNT(*) FROM arrivals WHERE ns = $1),
  (SELECT COUNT(*) FROM enrolments WHERE ns = $1)`, f.ns).Scan(&listeners, &arrived, &enrolled))
	return fmt.Errorf("there are %d messages, want %d; %d listeners, %d facts wait, %d are enrolled", n, f.customers, listeners, arrived, enrolled)
}

func (f *failing) checkSuppressed() error {
	var n, of int
	must(f.t, f.store.QueryRow(f.t.Context(), `SELECT COUNT(*), COUNT(CASE WHEN reason = $2 THEN 1 END) FROM suppressions WHERE ns = $1`, f.ns, f.suppressed).Scan(&n, &of))
	want := 0
	if f.suppressed != "" {
		want = f.customers
	}
	if n != want || of != want {
		return fmt.Errorf("%d addresses are suppressed, %d of them for %q; want %d", n, of, f.suppressed, want)
	}
	return nil
}

func (f *failing) checkChannel() error {
	status := f.config().Status
	ready := f.condition(status.Conditions, crm.ConditionReady)
	switch {
	case ready == nil:
		return fmt.Errorf("the channel has no Ready")
	case f.notReady == "" && ready.Status != metav1.ConditionTrue,
		f.notReady != "" && (ready.Status != metav1.ConditionFalse || ready.Reason != f.notReady || !strings.Contains(ready.Message, f.failure.says)):
		return fmt.Errorf("the channel's Ready is %s %s %q, want %q with %q", ready.Status, ready.Reason, ready.Message, f.notReady, f.failure.says)
	}
	for _, kind := range f.conditions {
		if c := f.condition(status.Conditions, kind); c == nil || c.Status != metav1.ConditionFalse {
			return fmt.Errorf("%s is %s", kind, show(c))
		}
	}
	var list eventsv1.EventList
	must(f.t, f.client.List(f.t.Context(), &list, client.InNamespace(f.ns)))
	about := f.about
	if about == "" {
		about = f.failure.channel
	}
	for _, e := range list.Items {
		switch {
		case e.Type == "Warning" && e.Regarding.Name == about && e.Reason == f.event && strings.Contains(e.Note, f.failure.says):
			return nil
		case e.Type == "Warning" && f.event == "":
			return fmt.Errorf("an Event warns: %s %s", e.Reason, e.Note)
		}
	}
	if f.event != "" {
		return fmt.Errorf("no Event of %s warns of %s with %q: %s", about, f.event, f.failure.says, show(list.Items))
	}
	return nil
}

// checkTaken counts what the provider has, which it must not have twice: by the key, the link or the
// Message-ID.
func (f *failing) checkTaken(want int) error {
	keys, n := map[string]bool{}, 0
	for _, m := range f.arrived(strings.TrimSuffix(f.failure.channel, "-main")) {
		if m.Status == "undelivered" {
			continue // given back: it may be tried again
		}
		key := m.Key
		if m.SMS != nil {
			key = m.Text
		}
		if keys[key] {
			f.t.Errorf("the provider has a message twice: %s", m.To)
		}
		keys[key] = true
		n++
	}
	if n != want {
		return fmt.Errorf("the provider has %d messages, want %d", n, want)
	}
	return nil
}

// mend ends the faults and asks for a new look, as an operator does, and expects that what waited goes out.
func mend(f *failing) {
	f.t.Helper()
	must(f.t, f.sandbox.Client().ClearFaults(f.t.Context()))
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:"now"}}}`, crm.AnnotationRequestedAt)
	must(f.t, f.client.Patch(f.t.Context(), f.config(), client.RawPatch(types.MergePatchType, []byte(patch))))
	f.notReady, f.conditions = "", nil
	rows := "sent"
	if f.failure.channel == "sms-main" {
		rows = "sent delivered"
	}
	f.holds(rows, f.customers)
	f.eventually(within, func() error {
		var list eventsv1.EventList
		must(f.t, f.client.List(f.t.Context(), &list, client.InNamespace(f.ns)))
		for _, e := range list.Items {
			if e.Reason == crm.ReasonResumed && e.Regarding.Name == f.failure.channel {
				return nil
			}
		}
		return fmt.Errorf("no Event says that sending goes on")
	})
}

// later lets the time pass that a message waits for, and expects that it arrives.
func later(f *failing) {
	f.t.Helper()
	f.failedTimes(1)
	f.letTimePass()
	f.holds("sent delivered", f.customers)
}

// failedTimes waits until the provider has told so often that a message was not delivered.
func (f *failing) failedTimes(want int) {
	f.t.Helper()
	f.eventually(within, func() error {
		var n int
		must(f.t, f.store.QueryRow(f.t.Context(), `SELECT COUNT(*) FROM receipts WHERE ns = $1 AND kind = 'undelivered'`, f.ns).Scan(&n))
		if n != want {
			return fmt.Errorf("%d receipts tell of a failure, want %d", n, want)
		}
		return nil
	})
}

// letTimePass ends the wait of messages that were planned again.
func (f *failing) letTimePass() {
	f.t.Helper()
	_, err := f.store.Exec(f.t.Context(), `UPDATE messages SET not_before = $2 WHERE ns = $1`, f.ns, store.Millis(time.Now()))
	must(f.t, err)
	_, err = f.store.Exec(f.t.Context(), `UPDATE shards SET lease_until = 0 WHERE ns = $1 AND holder = ''`, f.ns)
	must(f.t, err)
}

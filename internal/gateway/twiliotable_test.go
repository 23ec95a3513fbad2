// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/sms"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/schedule"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// texting is a shop that sends one text to anna, from the plan to what Twilio tells of it, through sockets.
type texting struct {
	*fixture
	box      *sandbox.Sandbox
	channels *dispatch.Channels
	steps    *dispatch.Steps
	engine   *dispatch.Engine
	sender   *sms.Sender
	served   *Gateway
}

var textsRef = dispatch.Ref{Namespace: "shop", Name: "sms-main"}

func newTexting(f *fixture, compiler *content.Compiler, faults ...sandbox.Fault) *texting {
	f.Helper()
	x := &texting{fixture: f, channels: dispatch.NewChannels(nil)}
	var err error
	x.box, err = sandbox.Start(f.Context(), sandbox.Config{
		Twilio:    []sandbox.TwilioAccount{{SID: sandbox.DefaultTwilioSID, AuthToken: secret}},
		SentAfter: sandbox.Duration(200 * time.Millisecond), DeliveredAfter: sandbox.Duration(20 * time.Millisecond), Faults: faults,
	})
	f.ok(err)
	f.Cleanup(func() { _ = x.box.Close() })
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { x.served.ServeHTTP(w, r) }))
	f.Cleanup(server.Close)
	x.served = f.open(server.URL)
	x.sender, err = sms.New(sms.Config{
		Endpoint: x.box.URLs().Twilio, AccountSID: sandbox.DefaultTwilioSID, AuthToken: secret, From: shopsPhone, Timeout: 2 * time.Second,
		LookupDelays: []time.Duration{10 * time.Millisecond, 10 * time.Millisecond},
	})
	f.ok(err)
	f.Cleanup(func() { _ = x.sender.Close() })
	x.channels.Put(textsRef, &dispatch.Channel{
		Sender: x.sender, Kind: store.ChannelSMS, Mode: dispatch.ModeLive, Clicks: true, PerSecond: 1000, Fingerprint: "1", StatusCallback: server.URL + smsPath,
	})
	signer, err := content.NewSigner(server.URL, []byte(secret))
	f.ok(err)
	x.engine = dispatch.NewEngine(dispatch.Options{Store: f.st, Clock: f.clock, Compiler: compiler, Signer: signer, Channels: x.channels, Log: logr.Discard()})
	x.steps = x.engine.ByHand()
	f.Cleanup(x.steps.Close)
	return x
}

func (f *fixture) ok(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// plan fires a scenario of one text.
func (x *texting) plan(compiler *content.Compiler) {
	x.Helper()
	b := journey.Bundle{}
	x.ok(json.Unmarshal([]byte(`[{"name": "a", "sms": {"channel": "sms-main", "text": "Sale https://shop.example/sale"}}]`), &b.Spec.Steps))
	b.Spec.Trigger.Schedule = &crm.ScheduleTrigger{Cron: "0 10 * * *"}
	compiled, err := dispatch.Compile(x.Context(), compiler, b)
	x.ok(err)
	revision, text, err := b.Revision()
	x.ok(err)
	a := dispatch.Armed{Ref: dispatch.Ref{Namespace: "shop", Name: "sale"}, Revision: revision, Bundle: text, Compiled: compiled, Segment: "all"}
	x.ok(x.engine.Arm(x.Context(), a))
	_, err = x.engine.Fire(x.Context(), a, schedule.Slot{Key: x.clock.Now().Format("2006-01-02T15:04"), Time: x.clock.Now()})
	x.ok(err)
	x.work()
	runs, err := x.engine.Runs(x.Context(), a.Ref)
	x.ok(err)
	for _, r := range runs {
		if r.State == dispatch.RunPlanned {
			x.ok(x.engine.Open(x.Context(), a.Ref, r.Name))
		}
	}
	x.work()
}

// work does what is due now.
func (x *texting) work() {
	x.Helper()
	for range 20 {
		busy, err := x.steps.Step(x.Context())
		x.ok(err)
		if !busy {
			return
		}
	}
}

// pass lets time go on, and does what is due then.
func (x *texting) pass(d time.Duration) {
	x.Helper()
	x.clock.SetTime(x.clock.Now().Add(d))
	x.work()
}

// taken is how many messages Twilio took.
func (x *texting) taken() int {
	x.Helper()
	all, err := x.box.Client().All(x.Context(), sandbox.Query{Channel: "sms"})
	x.ok(err)
	return len(all)
}

// after is what became of the text, in words.
func (x *texting) after() string {
	x.Helper()
	var state, reason, suppressed string
	var delivered, bounced bool
	x.ok(x.st.QueryRow(x.Context(), `SELECT state, reason, delivered_at IS NOT NULL, bounced_at IS NOT NULL,
  COALESCE((SELECT s.reason FROM suppressions s WHERE s.ns = 'shop' AND s.channel = 'sms' AND s.address = $1), '') FROM messages`, annasPhone).
		Scan(&state, &reason, &delivered, &bounced, &suppressed))
	out := state
	for _, word := range []struct {
		is   bool
		text string
	}{
		{reason != "", reason}, {delivered, "delivered"}, {bounced, "bounced"}, {suppressed != "", "suppressed:" + suppressed},
	} {
		if word.is {
			out += " " + word.text
		}
	}
	if pause, paused := x.channels.Paused(textsRef); paused {
		out += " paused:" + pause.Reason
		if !pause.Until.IsZero() {
			out += " for " + time.Until(pause.Until).Round(time.Minute).String()
		}
	}
	return fmt.Sprintf("%s; %d taken", out, x.taken())
}

// becomes waits for what callbacks bring.
func (x *texting) becomes(want string) {
	x.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for got := ""; got != want; {
		if got = x.after(); got == want {
			break
		}
		if time.Now().After(deadline) {
			x.Fatalf("it is %q, want %q", got, want)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// settled waits until Twilio has brought to their end all that it took.
func (x *texting) settled() {
	x.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for {
		all, err := x.box.Client().All(x.Context(), sandbox.Query{Channel: "sms"})
		x.ok(err)
		open := 0
		for _, m := range all {
			if m.Status != "delivered" && m.Status != "undelivered" {
				open++
			}
		}
		if open == 0 {
			return
		}
		if time.Now().After(deadline) {
			x.Fatalf("%d texts are under way", open)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func twilioFault(operation string, times int, e sandbox.FaultEffect) sandbox.Fault {
	return sandbox.Fault{Provider: "twilio", Operation: operation, Match: sandbox.FaultMatch{Count: times}, Effect: e}
}

// TestWhatTwilioDoes holds each failure of Twilio's against its reaction, through the SDK and sockets.
func TestWhatTwilioDoes(t *testing.T) {
	const always = 0
	refused := func(status, code int) []sandbox.Fault {
		return []sandbox.Fault{twilioFault("create", always, sandbox.FaultEffect{Status: status, Code: code})}
	}
	once := func(status, code int) []sandbox.Fault {
		return []sandbox.Fault{twilioFault("create", 1, sandbox.FaultEffect{Status: status, Code: code})}
	}
	undelivered := func(times, code int) []sandbox.Fault {
		return []sandbox.Fault{twilioFault("delivery", times, sandbox.FaultEffect{Code: code})}
	}
	cases := map[string]struct {
		faults []sandbox.Fault
		// states are what becomes of it at once, and after each of the times that pass.
		passes []time.Duration
		states []string
	}{
		"nothing":                {states: []string{"sent delivered; 1 taken"}},
		"429 once":               {faults: once(429, 20429), states: []string{"sent delivered; 1 taken"}},
		"taken, and cut":         {faults: []sandbox.Fault{twilioFault("create", 1, sandbox.FaultEffect{Accept: true, Drop: true})}, states: []string{"sent delivered; 1 taken"}},
		"taken, and 503":         {faults: []sandbox.Fault{twilioFault("create", 1, sandbox.FaultEffect{Accept: true, Status: 503})}, states: []string{"sent delivered; 1 taken"}},
		"not taken, and cut":     {faults: []sandbox.Fault{twilioFault("create", 1, sandbox.FaultEffect{Drop: true})}, passes: []time.Duration{time.Hour}, states: []string{"unknown OutcomeLost; 0 taken", "unknown OutcomeLost; 0 taken"}},
		"not taken, and 500":     {faults: once(500, 20500), passes: []time.Duration{time.Hour}, states: []string{"unknown OutcomeLost; 0 taken", "unknown OutcomeLost; 0 taken"}},
		"opted out":              {faults: refused(400, 21610), states: []string{"failed RecipientOptedOut suppressed:RecipientOptedOut; 0 taken"}},
		"21211":                  {faults: refused(400, 21211), states: []string{"failed RecipientInvalid suppressed:RecipientInvalid; 0 taken"}},
		"21614":                  {faults: refused(400, 21614), states: []string{"failed RecipientInvalid suppressed:RecipientInvalid; 0 taken"}},
		"21635":                  {faults: refused(400, 21635), states: []string{"failed RecipientInvalid suppressed:RecipientInvalid; 0 taken"}},
		"30005":                  {faults: undelivered(always, 30005), passes: []time.Duration{2 * time.Hour}, states: []string{"sent bounced suppressed:RecipientInvalid; 1 taken", "sent bounced suppressed:RecipientInvalid; 1 taken"}},
		"30006":                  {faults: undelivered(always, 30006), states: []string{"sent bounced suppressed:RecipientInvalid; 1 taken"}},
		"21408":                  {faults: refused(400, 21408), states: []string{"planned ConfigurationWrong paused:ConfigurationWrong; 0 taken"}},
		"21612":                  {faults: refused(400, 21612), states: []string{"planned ConfigurationWrong paused:ConfigurationWrong; 0 taken"}},
		"21212":                  {faults: refused(400, 21212), states: []string{"planned ConfigurationWrong paused:ConfigurationWrong; 0 taken"}},
		"401":                    {faults: refused(401, 20003), states: []string{"planned CredentialsInvalid paused:CredentialsInvalid; 0 taken"}},
		"30003 once":             {faults: undelivered(1, 30003), passes: []time.Duration{30 * time.Minute, 31 * time.Minute}, states: []string{"planned; 1 taken", "planned; 1 taken", "sent delivered; 2 taken"}},
		"30008 once":             {faults: undelivered(1, 30008), passes: []time.Duration{61 * time.Minute}, states: []string{"planned; 1 taken", "sent delivered; 2 taken"}},
		"30003 again and again":  {faults: undelivered(always, 30003), passes: []time.Duration{61 * time.Minute, 241 * time.Minute, 24 * time.Hour}, states: []string{"planned; 1 taken", "planned; 2 taken", "sent bounced suppressed:RecipientUnreachable; 3 taken", "sent bounced suppressed:RecipientUnreachable; 3 taken"}},
		"30004":                  {faults: undelivered(always, 30004), passes: []time.Duration{2 * time.Hour}, states: []string{"sent bounced; 1 taken", "sent bounced; 1 taken"}},
		"30007":                  {faults: undelivered(always, 30007), passes: []time.Duration{2 * time.Hour}, states: []string{"sent bounced; 1 taken", "sent bounced; 1 taken"}},
		"30450":                  {faults: refused(400, 30450), states: []string{"failed ContentFiltered; 0 taken"}},
		"30001 once":             {faults: undelivered(1, 30001), passes: []time.Duration{61 * time.Minute}, states: []string{"planned; 1 taken", "sent delivered; 2 taken"}},
		"30036 again and again":  {faults: undelivered(always, 30036), passes: []time.Duration{61 * time.Minute, 241 * time.Minute}, states: []string{"planned; 1 taken", "planned; 2 taken", "sent bounced; 3 taken"}},
		"21611":                  {faults: refused(429, 21611), states: []string{"planned QueueFull; 0 taken"}},
		"63038":                  {faults: refused(429, 63038), states: []string{"planned QuotaExhausted paused:QuotaExhausted for 1h0m0s; 0 taken"}},
		"14107":                  {faults: refused(429, 14107), states: []string{"planned 14107; 0 taken"}},
		"no callback":            {faults: []sandbox.Fault{twilioFault("callback", always, sandbox.FaultEffect{Drop: true})}, passes: []time.Duration{2 * time.Hour, 61 * time.Minute}, states: []string{"sent; 1 taken", "sent; 1 taken", "sent delivered; 1 taken"}},
		"no callback, and 30005": {faults: append(undelivered(always, 30005), twilioFault("callback", always, sandbox.FaultEffect{Drop: true})), passes: []time.Duration{181 * time.Minute}, states: []string{"sent; 1 taken", "sent bounced suppressed:RecipientInvalid; 1 taken"}},
		"no callback, and Twilio is away then": {
			faults: []sandbox.Fault{twilioFault("callback", always, sandbox.FaultEffect{Drop: true}), twilioFault("fetch", 1, sandbox.FaultEffect{Status: 503})},
			passes: []time.Duration{181 * time.Minute, time.Minute}, states: []string{"sent; 1 taken", "sent; 1 taken", "sent delivered; 1 taken"},
		},
	}
	compiler := content.NewCompiler(content.Options{})
	t.Cleanup(func() { _ = compiler.Close() })
	stores(t, func(f *fixture) {
		for name, tt := range cases {
			f.run(name, func(f *fixture) {
				for _, table := range []string{"customers", "enrolments", "memberships", "runs", "slots", "shards", "scenarios", "links"} {
					f.exec(`DELETE FROM ` + table)
				}
				f.annaSays("granted", "import")
				f.exec(`INSERT INTO memberships (ns, segment, customer_id, entered_at) VALUES ('shop', 'all', 'anna', 0)`)
				x := newTexting(f, compiler, tt.faults...)
				x.plan(compiler)
				askers := func(string, string) (channel.Asker, bool) { return x.sender, true }
				for i, want := range tt.states {
					if i > 0 {
						x.settled()
						x.pass(tt.passes[i-1])
						f.ok(x.served.askAll(t.Context(), askers, rate.NewLimiter(rate.Inf, 1)))
					}
					if name == "14107" {
						x.restsHalfAMinute()
						continue
					}
					x.becomes(want)
				}
			})
		}
	})
}

// restsHalfAMinute holds a text that is too many between two numbers against the time at which its shard is
// looked at again.
func (x *texting) restsHalfAMinute() {
	x.Helper()
	if n := x.taken(); n != 0 {
		x.Errorf("%d were taken", n)
	}
	var until int64
	x.ok(x.st.QueryRow(x.Context(), `SELECT lease_until FROM shards`).Scan(&until))
	if rest := time.Until(time.UnixMilli(until)); rest < 25*time.Second {
		x.Errorf("the text rests for %s", rest)
	}
	if n := x.count(`SELECT COUNT(*) FROM messages WHERE state = 'planned'`); n != 1 {
		x.Error("the text is not planned any more")
	}
}

// TestNumbersRestForAWhile: who could not be reached is written to again after a month, and nobody else is.
func TestNumbersRestForAWhile(t *testing.T) {
	stores(t, func(f *fixture) {
		f.annaSays("granted", "import")
		const invalid = "+819000000001"
		f.ok(f.st.Suppress(t.Context(), "shop", store.ChannelSMS, annasPhone, channel.ReasonRecipientUnreachable, start))
		f.ok(f.st.Suppress(t.Context(), "shop", store.ChannelSMS, invalid, channel.ReasonRecipientInvalid, start))
		none := func(string, string) (channel.Asker, bool) { return nil, false }
		for _, step := range []struct {
			after time.Duration
			want  string
			left  int
		}{{restSoft - time.Hour, "granted import RecipientUnreachable", 2}, {restSoft + time.Hour, "granted import", 1}} {
			f.clock.SetTime(start.Add(step.after))
			f.ok(f.gateway.askAll(t.Context(), none, rate.NewLimiter(rate.Inf, 1)))
			if got := f.standing(); got != step.want {
				f.Errorf("after %s: %q, want %q", step.after, got, step.want)
			}
			if n := f.count(`SELECT COUNT(*) FROM suppressions`); n != step.left {
				f.Errorf("after %s %d are suppressed", step.after, n)
			}
		}
		if n := f.count(`SELECT COUNT(*) FROM customers WHERE id = 'anna' AND reach <> 0`); n != 1 {
			f.Error("anna cannot be reached")
		}
	})
}

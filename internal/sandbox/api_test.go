// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	testclock "k8s.io/utils/clock/testing"

	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

func TestClient(t *testing.T) {
	s, ctx := start(t, sandbox.Config{}), t.Context()
	c := s.Client()
	fault, err := c.AddFault(ctx, sandbox.Fault{Provider: "line", Operation: "push", Match: sandbox.FaultMatch{Every: 2}, Effect: sandbox.FaultEffect{Status: 500, Delay: sandbox.Duration(time.Millisecond)}})
	if err != nil || fault.ID == "" {
		t.Fatalf("%+v %v", fault, err)
	}
	api := lineAPI(t, s, sandbox.DefaultLINEToken)
	failed := 0
	for i := range 6 {
		if _, _, err := pushText(api, user, fmt.Sprintf("text %d", i), uuid.NewString()); err != nil {
			failed++
		}
	}
	if failed != 3 {
		t.Errorf("%d of 6 failed, want 3", failed)
	}
	if list, err := c.Faults(ctx); err != nil || len(list) != 1 || list[0].Hit != 3 || list[0].Seen != 6 {
		t.Errorf("faults %+v %v", list, err)
	}
	if err := c.RemoveFault(ctx, fault.ID); err != nil {
		t.Error(err)
	}
	if err := c.RemoveFault(ctx, fault.ID); err == nil || !strings.Contains(err.Error(), "there is no fault") {
		t.Errorf("removing it again: %v", err)
	}
	if err := c.ClearFaults(ctx); err != nil {
		t.Error(err)
	}
	if err := c.SetRecipient(ctx, sandbox.Recipient{Channel: "line", ID: user, State: "blocked"}); err != nil {
		t.Error(err)
	}
	if err := c.SetRecipient(ctx, sandbox.Recipient{Channel: "line", ID: user, State: "asleep"}); err == nil || !strings.Contains(err.Error(), "write one of") {
		t.Errorf("a state that does not exist: %v", err)
	}
	if list, err := c.Recipients(ctx); err != nil || len(list) != 1 || list[0].State != "blocked" {
		t.Errorf("recipients %+v %v", list, err)
	}
	p, err := c.Messages(ctx, sandbox.Query{Limit: 2, To: user, Channel: "line"})
	if err != nil || len(p.Messages) != 2 || p.Messages[0].Text != "text 0" {
		t.Fatalf("%+v %v", p, err)
	}
	p, err = c.Messages(ctx, sandbox.Query{After: p.Next})
	if err != nil || len(p.Messages) != 1 || p.Messages[0].Text != "text 4" {
		t.Errorf("next page %+v %v", p, err)
	}
	if m, err := c.Message(ctx, 2); err != nil || m.Text != "text 2" {
		t.Errorf("message 2: %+v %v", m, err)
	}
	if _, err := c.Message(ctx, 99); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("message 99: %v", err)
	}
	if found := messages(t, s, sandbox.Query{Contains: "TEXT 4"}); len(found) != 1 {
		t.Errorf("search found %d, want 1", len(found))
	}
	if err := c.Clear(ctx); err != nil {
		t.Error(err)
	}
	if stats, err := c.Stats(ctx); err != nil || len(stats.Channels) != 0 {
		t.Errorf("after clearing %+v %v", stats, err)
	}
}

func TestOtherSitesCannotChangeAnything(t *testing.T) {
	s := start(t, sandbox.Config{})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URLs().Inbox+"api/faults", strings.NewReader(`{"provider":"line","effect":{"drop":true}}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("status %d, want 403", res.StatusCode)
	}
}

func TestRestartKeepsRetryKeysAndDeliveries(t *testing.T) {
	clock := testclock.NewFakePassiveClock(time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC))
	config := sandbox.Config{
		Journal: filepath.Join(t.TempDir(), "journal.jsonl"), Clock: clock,
		LINE:      []sandbox.LINEChannel{{Name: "main", Token: "t", MonthlyLimit: 100}},
		SentAfter: sandbox.Duration(time.Hour),
	}
	s := start(t, config)
	key := uuid.NewString()
	first, body, err := pushText(lineAPI(t, s, "t"), user, "x", key)
	if err != nil {
		t.Fatal(err)
	}
	sent, err := twilioAPI(t, s, sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken).CreateMessage(sms("+819012345678", "x"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = start(t, quick(config))
	again, _, err := pushText(lineAPI(t, s, "t"), user, "x", key)
	if err == nil || again.StatusCode != http.StatusConflict {
		t.Fatalf("the retry after a restart: %v, want 409", err)
	}
	if got := again.Header.Get("X-Line-Accepted-Request-Id"); got != first.Header.Get("X-Line-Request-Id") {
		t.Errorf("accepted request id %q, want %q", got, first.Header.Get("X-Line-Request-Id"))
	}
	if e := lineError(t, again); e.SentMessages[0].Id != body.SentMessages[0].Id {
		t.Errorf("sentMessages %+v, want %+v", e.SentMessages, body.SentMessages)
	}
	if used, err := lineAPI(t, s, "t").GetMessageQuotaConsumption(); err != nil || used.TotalUsage != 1 {
		t.Errorf("consumption %+v %v, want 1", used, err)
	}
	eventually(t, "the SMS's delivery after the restart", func() bool {
		m, err := twilioAPI(t, s, sandbox.DefaultTwilioSID, sandbox.DefaultTwilioToken).FetchMessage(*sent.Sid, nil)
		return err == nil && *m.Status == "delivered"
	})
	if m := messages(t, s, sandbox.Query{}); len(m) != 2 || !m[0].Time.Equal(clock.Now()) {
		t.Errorf("%+v, want both at the clock's time", m)
	}
}

func TestStartFails(t *testing.T) {
	s := start(t, sandbox.Config{})
	tests := map[string]struct {
		config sandbox.Config
		want   string
	}{
		"address in use": {sandbox.Config{SMTPAddress: s.URLs().SMTP}, "give another address"},
		"bad recipient":  {sandbox.Config{Recipients: []sandbox.Recipient{{Channel: "fax"}}}, "write email, line or sms"},
		"bad fault":      {sandbox.Config{Faults: []sandbox.Fault{{}}}, "write line, twilio or smtp"},
		"bad account":    {sandbox.Config{Twilio: []sandbox.TwilioAccount{{SID: "x"}}}, "32 hexadecimal digits"},
		"token twice":    {sandbox.Config{LINE: []sandbox.LINEChannel{{Name: "a", Token: "t"}, {Name: "b", Token: "t"}}}, "already taken"},
		"bad zone":       {sandbox.Config{TimeZone: "Tokyo"}, "such as Asia/Tokyo"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := sandbox.Start(t.Context(), tt.config); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestContextStopsIt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, err := sandbox.Start(ctx, sandbox.Config{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case <-s.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("it runs on")
	}
	if err := s.Close(); err != nil {
		t.Errorf("closing it again: %v", err)
	}
}

func TestInboxIsServed(t *testing.T) {
	s := start(t, sandbox.Config{TimeZone: "Asia/Tokyo"})
	if err := mailClient(t, s.URLs().SMTP).DialAndSend(mailTo(t, "hana@example.jp", "こんにちは", "x")); err != nil {
		t.Fatal(err)
	}
	res, err := http.Get(s.URLs().Inbox)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || !strings.Contains(string(body), "こんにちは") || !strings.Contains(string(body), "hana@example.jp") {
		t.Errorf("%v %s", err, body)
	}
}

func BenchmarkSMTP(b *testing.B) {
	s := start(b, sandbox.Config{Journal: filepath.Join(b.TempDir(), "journal.jsonl")})
	var wg sync.WaitGroup
	work := make(chan int)
	for range 8 {
		c := mailClient(b, s.URLs().SMTP)
		wg.Go(func() {
			sc, err := c.DialToSMTPClientWithContext(b.Context())
			if err != nil {
				b.Error(err)
				return
			}
			for i := range work {
				m := mailTo(b, fmt.Sprintf("c%d@example.jp", i), "こんにちは", strings.Repeat("text ", 1000))
				if err := c.SendWithSMTPClient(sc, m); err != nil {
					b.Error(err)
				}
			}
			_ = c.CloseWithSMTPClient(sc)
		})
	}
	b.ResetTimer()
	for i := range b.N {
		work <- i
	}
	close(work)
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}

func BenchmarkLINE(b *testing.B) {
	s := start(b, sandbox.Config{LINE: []sandbox.LINEChannel{{Name: "a", Token: "t", RatePerSecond: 1_000_000}}})
	api := lineAPI(b, s, "t")
	for b.Loop() {
		if _, _, err := pushText(api, user, "x", uuid.NewString()); err != nil {
			b.Fatal(err)
		}
	}
}

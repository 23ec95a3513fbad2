// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"encoding/json"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/channel/email"
	"github.com/kaeru-dev/kaeru/internal/channel/line"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// rateNow is the part of its rate that a channel of the shop has now, in the eyes of whoever shares it.
func (f *fixture) rateNow(name string) (r channel.Rate, part float64) {
	f.Helper()
	var state string
	var now int64
	f.ok(f.st.QueryRow(f.Context(), `SELECT state, `+f.st.Dialect().NowMicros()+` FROM channel_rates WHERE ns = 'shop' AND channel = $1`, name).Scan(&state, &now))
	f.ok(json.Unmarshal([]byte(state), &r))
	return r, r.PartNow(now)
}

// A real sender hears from a double of its provider that it sends too fast; a process that has heard nothing slows
// down, too, and counts it, and all messages go out in the end.
func TestProvidersSlowAllProcessesDown(t *testing.T) {
	tests := map[string]struct {
		steps, preset string
		ref           Ref
		channel       func(t *testing.T, box *sandbox.Sandbox) *Channel
	}{
		"LINE 429": {`[{"name": "a", "line": {"channel": "push", "messages": [{"type": "text", "text": "t"}]}}]`, "line-429-rate:count=3", push, lineChannel},
		"SMTP 421": {oneMail, "smtp-421:count=3", mail, mailChannel},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			box, err := sandbox.Start(t.Context(), sandbox.Config{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = box.Close() })
			f := newFixture(t, testenv.Postgres(t))
			f.customers(40)
			f.exec(`UPDATE customers SET line_user_id = 'U' || lpad(substr(id, 2), 32, '0')`)
			f.channels.Put(tt.ref, tt.channel(t, box))
			e := f.engine()

			other := NewChannels(nil)
			other.share(f.st)
			unaware := tt.channel(t, box)
			other.Put(tt.ref, unaware)
			f.ok(other.readRates(t.Context()))

			_, err = box.Client().AddPreset(t.Context(), tt.preset)
			f.ok(err)
			f.fire(e, f.armed(tt.steps))
			f.finish(e)
			f.want("sent:40;")
			got, err := box.Client().All(t.Context(), sandbox.Query{})
			f.ok(err)
			if len(got) != 40 {
				t.Errorf("%d messages arrived", len(got))
			}
			r, part := f.rateNow(tt.ref.Name)
			if r.Cuts == 0 || part >= 1 {
				t.Errorf("the rate is %+v", r)
			}
			f.ok(other.readRates(t.Context()))
			if told := other.alerts.counts[tt.ref][ReasonSlowedDown]; told == nil || told.n != int(r.Cuts) {
				t.Errorf("of %d cuts another process knows %+v", r.Cuts, told)
			}
			// The other process goes no faster than what is left.
			n := 0
			for end := time.Now().Add(2 * time.Second); time.Now().Before(end); n++ {
				f.ok(unaware.Limiter.Wait(t.Context()))
			}
			if _, part := f.rateNow(tt.ref.Name); float64(n) > 2*1.15*unaware.PerSecond*part+2 {
				t.Errorf("another process sent %d in two seconds, at %v of %v a second", n, part, unaware.PerSecond)
			}
		})
	}
}

func lineChannel(t *testing.T, box *sandbox.Sandbox) *Channel {
	t.Helper()
	s, err := line.New(line.Config{Endpoint: box.URLs().LINE, ChannelAccessToken: sandbox.DefaultLINEToken, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &Channel{Sender: s, Kind: "line", Mode: ModeLive, Fingerprint: "1", PerSecond: 100}
}

func mailChannel(t *testing.T, box *sandbox.Sandbox) *Channel {
	t.Helper()
	host, port, err := net.SplitHostPort(box.URLs().SMTP)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	s, err := email.New(email.Config{From: "shop@shop.example", Host: host, Port: number, TLS: email.Disabled})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &Channel{Sender: s, Kind: "email", Mode: ModeLive, Fingerprint: "1", PerSecond: 100}
}

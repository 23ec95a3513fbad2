// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// follow clicks a link of a message as a browser does.
func (f *fixture) follow(id uuid.UUID, index int) {
	f.Helper()
	token, err := f.signer.Sign(content.Click, content.Claims{Namespace: "shop", Message: id, Index: index, URL: "https://shop.example/"})
	if err != nil {
		f.Fatal(err)
	}
	f.get("/" + string(content.Click) + "/" + token)
}

func TestFiltersThatFollowEveryLink(t *testing.T) {
	type click struct {
		after time.Duration // after the mail was sent
		link  int
	}
	tests := map[string]struct {
		kind         string
		clicks       []click
		want         marks
		wantReceipts string
	}{
		"all links at once": {
			store.ChannelEmail, []click{{time.Minute, 0}, {time.Minute, 1}, {61 * time.Second, 2}, {62 * time.Second, 3}},
			marks{state: "sent", ended: "0s"}, "clicked** clicked** clicked** clicked**",
		},
		"two links at once": {
			store.ChannelEmail, []click{{time.Minute, 0}, {time.Minute, 1}},
			marks{state: "sent", ended: "0s", opened: "1m0s", clicked: "1m0s"}, "clicked clicked",
		},
		"one link, again and again": {
			store.ChannelEmail, []click{{60 * time.Second, 0}, {61 * time.Second, 0}, {62 * time.Second, 0}},
			marks{state: "sent", ended: "0s", opened: "1m0s", clicked: "1m0s"}, "clicked clicked clicked",
		},
		"one after the other": {
			store.ChannelEmail, []click{{60 * time.Second, 0}, {70 * time.Second, 1}, {80 * time.Second, 2}},
			marks{state: "sent", ended: "0s", opened: "1m0s", clicked: "1m0s"}, "clicked clicked clicked",
		},
		"somebody before the filter": {
			store.ChannelEmail, []click{{30 * time.Second, 1}, {60 * time.Second, 0}, {60 * time.Second, 1}, {60 * time.Second, 2}},
			marks{state: "sent", ended: "0s", opened: "30s", clicked: "30s"}, "clicked clicked** clicked** clicked**",
		},
		"somebody after the filter": {
			store.ChannelEmail, []click{{60 * time.Second, 0}, {60 * time.Second, 1}, {60 * time.Second, 2}, {5 * time.Minute, 1}},
			marks{state: "sent", ended: "0s", opened: "5m0s", clicked: "5m0s"}, "clicked** clicked** clicked** clicked",
		},
		"somebody in a hurry, the next day": {
			store.ChannelEmail, []click{{24 * time.Hour, 0}, {24 * time.Hour, 1}, {24 * time.Hour, 2}},
			marks{state: "sent", ended: "0s", opened: "24h0m0s", clicked: "24h0m0s"}, "clicked clicked clicked",
		},
		"not a mail": {
			store.ChannelLINE, []click{{time.Minute, 0}, {time.Minute, 1}, {time.Minute, 2}},
			marks{state: "sent", ended: "0s", clicked: "1m0s"}, "clicked clicked clicked",
		},
	}
	stores(t, func(f *fixture) {
		for name, tt := range tests {
			f.run(name, func(f *fixture) {
				id := f.message(tt.kind, tt.kind+"-main", "sent")
				f.exec(`UPDATE messages SET ended_at = $1 WHERE id = $2`, store.Millis(start), id.String())
				for _, c := range tt.clicks {
					f.clock.SetTime(start.Add(c.after))
					f.follow(id, c.link)
				}
				if got := f.marks(id); got != tt.want {
					f.Errorf("marked as %+v, want %+v", got, tt.want)
				}
				if got := f.receipts(id); got != tt.wantReceipts {
					f.Errorf("receipts %s, want %s", got, tt.wantReceipts)
				}
				want := 0
				if tt.want.clicked != "" {
					want = 1
				}
				if got := f.count(`SELECT COUNT(*) FROM engagements WHERE message_id = $1 AND kind = 'clicked'`, id.String()); got != want {
					f.Errorf("segments know of %d clicks, want %d", got, want)
				}
			})
		}
	})
}

func TestPrefetchIsNoClick(t *testing.T) {
	f := newSQLite(t)
	id := f.message("email", "mail", "sent")
	r := request("GET", f.token(content.Click, id), "")
	r.Header.Set("Sec-Purpose", "prefetch;prerender")
	f.do(r)
	if got := f.receipts(id); got != "clicked*" {
		t.Errorf("receipts %s", got)
	}
}

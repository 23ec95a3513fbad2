// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"fmt"
	"image/gif"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/content"
)

func TestOpen(t *testing.T) {
	stores(t, func(f *fixture) {
		id := f.message("email", "mail", "sent")
		w := f.get(f.token(content.Open, id))
		wantStatus(f, w, http.StatusOK)
		if img, err := gif.Decode(bytes.NewReader(w.Body.Bytes())); err != nil || img.Bounds().Dx() != 1 || img.Bounds().Dy() != 1 {
			f.Errorf("not a picture of one by one: %v", err)
		}
		if got := w.Header().Get("Cache-Control"); got != "no-store" || w.Header().Get("Content-Type") != "image/gif" {
			f.Errorf("headers %v", w.Header())
		}
		if diff := cmp.Diff(marks{state: "sent", opened: "0s"}, f.marks(id), cmp.AllowUnexported(marks{})); diff != "" {
			f.Error(diff)
		}
		// Again: at once it is the same open, later another one; the first time stays.
		f.get(f.token(content.Open, id))
		f.clock.SetTime(start.Add(time.Minute))
		f.get(f.token(content.Open, id))
		if got := f.receipts(id); got != "opened opened" {
			f.Errorf("receipts %s", got)
		}
		if got := f.marks(id).opened; got != "0s" {
			f.Errorf("opened at %s, want the first time", got)
		}
		if diff := cmp.Diff([]string{"shop/second"}, f.notified); diff != "" {
			f.Error(diff)
		}
	})
}

func TestMachinesAreNotPeople(t *testing.T) {
	for name, tt := range map[string]struct {
		method, agent string
		want          bool
	}{
		"a phone":                {"GET", browser, false},
		"Gmail showing a mail":   {"GET", "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", false},
		"Gmail before delivery":  {"GET", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0", true},
		"an old Edge":            {"GET", "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/46.0.2486.0 Safari/537.36 Edge/13.10586", false},
		"Apple for every mail":   {"GET", "Mozilla/5.0", true},
		"LINE's preview":         {"GET", "facebookexternalhit/1.1;line-poker/1.0", true},
		"LINE's own browser":     {"GET", browser + " Safari Line/14.0.0", false},
		"a look at the headers":  {"HEAD", browser, true},
		"one that says nothing":  {"GET", "", false},
		"a program nobody knows": {"GET", "Go-http-client/1.1", false},
		"a scanner of mail":      {"GET", "BarracudaCentral/1.0", true},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(tt.method, "/", "")
			r.Header.Set("User-Agent", tt.agent)
			if got := isMachine(r); got != tt.want {
				t.Errorf("isMachine = %t, want %t", got, tt.want)
			}
		})
	}
}

func TestMachinesOpenAndClickNothing(t *testing.T) {
	stores(t, func(f *fixture) {
		id := f.message("email", "mail", "sent")
		for _, path := range []string{f.token(content.Open, id), f.token(content.Click, id)} {
			r := request(http.MethodGet, path, "")
			r.Header.Set("User-Agent", "Mozilla/5.0")
			f.do(r)
			f.do(request(http.MethodHead, path, ""))
		}
		if got := f.marks(id); got.opened != "" || got.clicked != "" {
			f.Errorf("marked as %+v", got)
		}
		if got := f.receipts(id); got != "clicked* opened*" {
			f.Errorf("receipts %s", got)
		}
		f.get(f.token(content.Click, id)) // a person, in the same second
		if got := f.marks(id); got.clicked != "0s" {
			f.Error("the person's click was taken for the machine's")
		}
	})
}

func TestClick(t *testing.T) {
	const target = "https://shop.example/%E5%95%86%E5%93%81?a=1&b=2#top"
	stores(t, func(f *fixture) {
		mail, sms := f.message("email", "mail", "sent"), f.message("sms", "sms-main", "sent")
		for id, want := range map[uuid.UUID]marks{
			mail: {state: "sent", clicked: "0s", opened: "0s"}, // who clicks has seen the mail
			sms:  {state: "sent", clicked: "0s"},
		} {
			w := f.do(request(http.MethodHead, f.token(content.Click, id), ""))
			wantStatus(f, w, http.StatusFound)
			if got := w.Header().Get("Location"); got != target {
				f.Errorf("HEAD to %s, want %s", got, target)
			}
			if got := f.marks(id); got.clicked != "" {
				f.Error("a HEAD is a click")
			}
			w = f.get(f.token(content.Click, id))
			wantStatus(f, w, http.StatusFound)
			if got := w.Header().Get("Location"); got != target {
				f.Errorf("to %s, want %s", got, target)
			}
			if diff := cmp.Diff(want, f.marks(id), cmp.AllowUnexported(marks{})); diff != "" {
				f.Error(diff)
			}
		}
		// An open that was before the click stays the open.
		id := f.message("email", "mail", "sent")
		f.get(f.token(content.Open, id))
		f.clock.SetTime(start.Add(time.Minute))
		f.get(f.token(content.Click, id))
		if got := f.marks(id); got.opened != "0s" || got.clicked != "1m0s" {
			f.Errorf("marked as %+v", got)
		}
	})
}

func TestClickOnAMessageThatIsGone(t *testing.T) {
	stores(t, func(f *fixture) {
		wantStatus(f, f.get(f.token(content.Click, uuid.New())), http.StatusFound)
		if n := f.count(`SELECT COUNT(*) FROM receipts`); n != 0 {
			f.Errorf("%d receipts", n)
		}
	})
}

func TestForgedLinks(t *testing.T) {
	stores(t, func(f *fixture) {
		id := f.message("email", "mail", "sent")
		good := f.token(content.Click, id)
		for name, tt := range map[string]struct {
			path string
			want int
		}{
			"another kind's token":  {"/l" + strings.TrimPrefix(f.token(content.Open, id), "/o"), http.StatusNotFound},
			"a click as an open":    {"/o" + strings.TrimPrefix(good, "/l"), http.StatusNotFound},
			"changed":               {good[:len(good)-3] + "AAA", http.StatusNotFound},
			"cut":                   {good[:20], http.StatusNotFound},
			"none":                  {"/l/", http.StatusNotFound},
			"more than one segment": {good + "/x", http.StatusNotFound},
			"preferences, not yet":  {f.token(content.Preferences, id), http.StatusNotFound},
			"a code with a quote":   {"/s/a'b", http.StatusNotFound},
			"an unknown code":       {"/s/abcdefghijkl", http.StatusNotFound},
		} {
			if w := f.get(tt.path); w.Code != tt.want || w.Header().Get("Location") != "" {
				f.Errorf("%s: status %d, Location %q", name, w.Code, w.Header().Get("Location"))
			}
		}
		if n := f.count(`SELECT COUNT(*) FROM receipts`); n != 0 {
			f.Errorf("%d receipts", n)
		}
	})
}

func TestShortLinks(t *testing.T) {
	stores(t, func(f *fixture) {
		id := f.message("sms", "sms-main", "sent")
		for kind, code := range map[content.Kind]string{content.Click: "abc-_9", content.Unsubscribe: "unsub1"} {
			f.exec(`INSERT INTO links (code, ns, message_id, kind, url) VALUES ($1, 'shop', $2, $3, $4)`,
				code, id.String(), string(kind), "https://shop.example/"+code)
		}
		w := f.get("/s/unsub1")
		wantStatus(f, w, http.StatusFound)
		if got := f.marks(id); got.clicked != "" {
			f.Error("looking at the unsubscribe page is a click")
		}
		w = f.get("/s/abc-_9")
		wantStatus(f, w, http.StatusFound)
		if got := w.Header().Get("Location"); got != "https://shop.example/abc-_9" {
			f.Errorf("to %s", got)
		}
		if got := f.marks(id); got.clicked != "0s" || f.receipts(id) != "clicked" {
			f.Errorf("marked as %+v, receipts %s", got, f.receipts(id))
		}
	})
}

func TestGuessingShortLinks(t *testing.T) {
	f := newSQLite(t)
	id := f.message("sms", "sms-main", "sent")
	f.exec(`INSERT INTO links (code, ns, message_id, kind, url) VALUES ('good', 'shop', $1, 'l', 'https://shop.example/')`, id.String())
	ask := func(code, from, forwarded string) int {
		r := request(http.MethodGet, "/s/"+code, "")
		r.RemoteAddr = from
		if forwarded != "" {
			r.Header.Set("X-Forwarded-For", forwarded)
		}
		return f.do(r).Code
	}
	for i := range missesAtOnce {
		ask(fmt.Sprintf("guess%d", i), "203.0.113.9:1234", "")
		ask(fmt.Sprintf("guess%d", i), "10.0.0.7:1234", "198.51.100.1, 2001:db8:1:2::3")
		ask(fmt.Sprintf("guess%d", i), "10.0.0.8:1234", "")
	}
	for name, tt := range map[string]struct {
		from, forwarded string
		want            int
	}{
		"who guesses":                         {"203.0.113.9:999", "", http.StatusTooManyRequests},
		"who guesses behind a proxy":          {"10.0.0.7:1234", "2001:db8:1:2::4", http.StatusTooManyRequests},
		"another behind that proxy":           {"10.0.0.7:1234", "198.51.100.1", http.StatusFound},
		"another":                             {"203.0.113.10:1234", "", http.StatusFound},
		"behind a proxy that does not say":    {"10.0.0.8:1234", "", http.StatusFound},
		"who says to be another, without one": {"203.0.113.9:999", "198.51.100.1", http.StatusTooManyRequests},
	} {
		if got := ask("good", tt.from, tt.forwarded); got != tt.want {
			t.Errorf("%s: status %d, want %d", name, got, tt.want)
		}
	}
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/store"
)

var purposes = []journey.Purpose{
	{Name: "news", Label: map[string]string{"en": "News and offers", "ja": "新商品・キャンペーン"}},
	{Name: "tips", Label: map[string]string{"en": "Care tips", "ja": "お手入れのヒント"}},
}

// anna is a customer with all addresses, who consented to mail and LINE.
func (f *fixture) anna() {
	f.Helper()
	for _, table := range []string{"customers", "purpose_consents", "consent_changes"} {
		f.exec("DELETE FROM " + table)
	}
	if err := f.st.Tx(f.Context(), func(tx *store.Tx) error {
		_, err := tx.UpsertCustomers(f.Context(), "shop", []store.Customer{{
			ID: "anna", Email: store.Value("hanako.sato@example.com"), Phone: store.Value("+819012345678"), LineUserID: store.Value(lineUser),
			Attributes: map[string]json.RawMessage{"points": json.RawMessage("5")},
			Consents:   map[string]string{"email": "granted", "line": "granted", "line/tips": "withdrawn"},
		}}, start.Add(-time.Hour))
		return err
	}); err != nil {
		f.Fatal(err)
	}
	f.gateway.Shop = func(string) Shop { return Shop{Name: "Kaeru <茶>", Purposes: purposes} }
}

// said is all that is known of what anna said, in order.
func (f *fixture) said() (out []string) {
	f.Helper()
	rows, err := f.st.Query(f.Context(), `SELECT channel || ' ' || state || ' ' || source FROM consents WHERE customer_id = 'anna'
UNION ALL SELECT channel || '/' || purpose || ' ' || state || ' ' || source FROM purpose_consents WHERE customer_id = 'anna'`)
	if err != nil {
		f.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			f.Fatal(err)
		}
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		f.Fatal(err)
	}
	slices.Sort(out)
	return out
}

func (f *fixture) frequency() string {
	f.Helper()
	var attributes string
	if err := f.st.QueryRow(f.Context(), `SELECT attributes FROM customers WHERE id = 'anna'`).Scan(&attributes); err != nil {
		f.Fatal(err)
	}
	var said map[string]any
	if err := json.Unmarshal([]byte(attributes), &said); err != nil || said["points"] != 5.0 {
		f.Errorf("attributes %s: %v", attributes, err)
	}
	text, _ := said["frequency"].(string)
	return text
}

func (f *fixture) submit(path string, form url.Values) *httptest.ResponseRecorder {
	f.Helper()
	r := request(http.MethodPost, path, form.Encode())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return f.do(r)
}

func TestPreferences(t *testing.T) {
	before := []string{"email granted import", "line granted import", "line/tips withdrawn import"}
	for name, tt := range map[string]struct {
		form   url.Values
		status int
		want   []string
		often  string
		reach  int
	}{
		"nothing changed": {form: url.Values{"was": {"email=1", "email/news=1", "line=1", "line/tips=0", "sms=0"}, "on": {"email", "email/news", "line"}, "frequency_was": {"all"}, "frequency": {"all"}},
			want: before, reach: store.ReachEmail | store.ReachLINE},
		"no mail any more": {form: url.Values{"was": {"email=1", "line=1"}, "on": {"line"}, "frequency_was": {"all"}, "frequency": {"weekly"}},
			want: []string{"email withdrawn preferences", "line granted import", "line/tips withdrawn import"}, often: "weekly", reach: store.ReachLINE},
		"a purpose less and one more": {form: url.Values{"was": {"email=1", "email/news=1", "line/tips=0"}, "on": {"email", "line/tips"}},
			want: []string{"email granted import", "email/news withdrawn preferences", "line granted import", "line/tips granted preferences"}, reach: store.ReachEmail | store.ReachLINE},
		"a channel that was never asked": {form: url.Values{"was": {"sms=0"}, "on": {"sms"}},
			want: append(slices.Clone(before), "sms granted preferences"), reach: store.ReachEmail | store.ReachLINE | store.ReachSMS},
		"everything ends": {form: url.Values{"stop": {"1"}, "on": {"sms"}},
			want: []string{"email withdrawn preferences", "line withdrawn preferences", "line/tips withdrawn import", "sms withdrawn preferences"}},
		"a purpose that the shop had":  {form: url.Values{"was": {"email/old=1"}}, want: before, reach: store.ReachEmail | store.ReachLINE},
		"a channel that there is none": {form: url.Values{"was": {"fax=1"}}, status: http.StatusBadRequest, want: before, reach: store.ReachEmail | store.ReachLINE},
		"another frequency":            {form: url.Values{"frequency": {"hourly"}}, status: http.StatusBadRequest, want: before, reach: store.ReachEmail | store.ReachLINE},
		"too much":                     {form: url.Values{"was": slices.Repeat([]string{"email=1"}, maxBoxes+1)}, status: http.StatusBadRequest, want: before, reach: store.ReachEmail | store.ReachLINE},
		"larger than any form":         {form: url.Values{"was": {strings.Repeat("x", maxForm)}}, status: http.StatusBadRequest, want: before, reach: store.ReachEmail | store.ReachLINE},
	} {
		t.Run(name, func(t *testing.T) {
			stores(t, func(f *fixture) {
				f.anna()
				path := f.token(content.Preferences, f.message("email", "mail", "sent"))
				w := f.submit(path+"?lang=ja", tt.form)
				if tt.status == 0 {
					tt.status = http.StatusSeeOther
				}
				wantStatus(f, w, tt.status)
				if tt.status == http.StatusSeeOther {
					notice := noticeSaved
					if tt.form.Has("stop") {
						notice = noticeStopped
					}
					if got, want := w.Header().Get("Location"), "?lang=ja&notice="+notice; got != want {
						f.Errorf("leads to %s, want %s", got, want)
					}
				}
				slices.Sort(tt.want)
				if diff := cmp.Diff(tt.want, f.said()); diff != "" {
					f.Error(diff)
				}
				if got := f.frequency(); got != tt.often {
					f.Errorf("frequency %q", got)
				}
				if got := f.count(`SELECT reach FROM customers WHERE id = 'anna'`); got != tt.reach {
					f.Errorf("reach %d, want %d", got, tt.reach)
				}
			})
		})
	}
}

func TestPreferencesAsTheyAre(t *testing.T) {
	stores(t, func(f *fixture) {
		f.anna()
		f.exec(`UPDATE customers SET attributes = '{"points": 5, "frequency": "monthly"}' WHERE id = 'anna'`)
		f.exec(`INSERT INTO suppressions (ns, channel, address, reason, created_at) VALUES ('shop', 'email', 'hanako.sato@example.com', 'Bounced', 0)`)
		path := f.token(content.Preferences, f.message("email", "mail", "sent"))
		body := f.get(path + "?notice=saved").Body.String()
		for _, words := range []string{
			"<title>Saved. Your messages", "Kaeru &lt;茶&gt;", "h•••@example.com", "••• 5678",
			`name="on" value="email" checked aria-describedby="email-note"`, `could not be delivered there`,
			`value="email/news" checked`, `name="was" value="line/tips=0"`, `name="on" value="line/tips"><label for="line-tips">Care tips</label>`,
			`name="on" value="sms">`, `value="monthly" checked`, `<p class="notice" role="status">Saved.</p>`, `href="?lang=ja"`,
		} {
			if !strings.Contains(body, words) {
				f.Errorf("no %s in %s", words, body)
			}
		}
		for _, secret := range []string{"hanako", "+8190", lineUser, "ZgotmplZ", "<script"} {
			if strings.Contains(body, secret) {
				f.Errorf("the page holds %s", secret)
			}
		}
		if n := f.count(`SELECT COUNT(*) FROM receipts`); n > 0 {
			f.Errorf("looking wrote %d receipts", n)
		}
		// A name of a notice that there is none is no words on the page.
		if body := f.get(path + "?notice=" + url.QueryEscape("<b>You won")).Body.String(); strings.Contains(body, "You won") || strings.Contains(body, `role="status"`) {
			f.Error(body)
		}
	})
}

func TestPreferencesOfNobody(t *testing.T) {
	f := newSQLite(t)
	f.anna()
	id := f.message("email", "mail", "sent")
	f.exec(`UPDATE messages SET customer_id = 'gone'`)
	for name, path := range map[string]string{
		"of a customer who is not there": f.token(content.Preferences, id),
		"of no message":                  f.token(content.Preferences, uuid.New()),
		"of another kind":                "/p" + strings.TrimPrefix(f.token(content.Unsubscribe, id), "/u"),
		"of another version":             "/p/AgRzaG9w",
	} {
		wantStatus(t, f.get(path), http.StatusNotFound)
		wantStatus(t, f.submit(path, url.Values{"stop": {"1"}}), http.StatusNotFound)
		if n := f.count(`SELECT COUNT(*) FROM consents WHERE state = 'withdrawn'`); n > 0 {
			t.Errorf("%s: %d were withdrawn", name, n)
		}
	}
}

func TestUnsubscribeIsTakenBack(t *testing.T) {
	stores(t, func(f *fixture) {
		f.anna()
		id := f.message("email", "mail", "sent")
		path := f.token(content.Unsubscribe, id)
		w := f.submit(path, nil)
		wantStatus(f, w, http.StatusOK)
		if !strings.Contains(w.Body.String(), `/undo?lang=en"`) || !strings.Contains(w.Body.String(), `href="../p/`) {
			f.Error(w.Body)
		}
		f.clock.SetTime(start.Add(time.Minute))
		w = f.submit(path+"/undo", nil)
		wantStatus(f, w, http.StatusSeeOther)
		if got := w.Header().Get("Location"); !strings.HasPrefix(got, "../../p/") || !strings.HasSuffix(got, "?notice=undone") {
			f.Error(got)
		}
		if got := f.consent("email"); got != "granted unsubscribe undone 1m0s" {
			f.Errorf("consent %q", got)
		}
		// Twice does no more, and what was withdrawn elsewhere, or was never given, stays.
		wantStatus(f, f.submit(path+"/undo", nil), http.StatusSeeOther)
		if got := f.consent("email"); got != "granted unsubscribe undone 1m0s" {
			f.Errorf("consent %q", got)
		}
		sms := f.token(content.Unsubscribe, f.message("sms", "sms-main", "sent"))
		f.submit(sms, nil)
		f.submit(sms+"/undo", nil)
		if got := f.consent("sms"); got != "withdrawn unsubscribe 1m0s" {
			f.Errorf("consent %q", got)
		}
		f.submit(f.token(content.Preferences, id), url.Values{"stop": {"1"}})
		f.submit(path+"/undo", nil)
		if got := f.consent("email"); got != "withdrawn preferences 1m0s" {
			f.Errorf("consent %q", got)
		}
		if got := f.count(`SELECT reach FROM customers WHERE id = 'anna'`); got != 0 {
			f.Errorf("reach %d", got)
		}
	})
}

func TestMasked(t *testing.T) {
	for address, want := range map[[2]string]string{
		{"email", "hanako@example.com"}: "h•••@example.com",
		{"email", "花子@example.com"}:     "花•••@example.com",
		{"email", "@x"}:                 "•••",
		{"sms", "+819012345678"}:        "••• 5678",
		{"sms", "1234"}:                 "•••",
		{"line", lineUser}:              "",
	} {
		if got := masked(address[0], address[1]); got != want {
			t.Errorf("%v: %s, want %s", address, got, want)
		}
	}
}

func FuzzReadChoice(f *testing.F) {
	f.Add("was=email%3D1&on=email&frequency=weekly")
	f.Add("was=email/news%3D0&on=email/news&was=email/news%3D1")
	f.Add("stop=1")
	f.Fuzz(func(t *testing.T, body string) {
		form, err := url.ParseQuery(body)
		if err != nil {
			return
		}
		c, err := readChoice(form, purposes)
		if err != nil {
			return
		}
		for _, s := range c.said {
			if !slices.Contains(store.Channels, s.Channel) || s.State != store.ConsentGranted && s.State != store.ConsentWithdrawn ||
				s.Purpose != "" && s.Purpose != "news" && s.Purpose != "tips" {
				t.Errorf("%q says %+v", body, s)
			}
		}
		if a := c.attribute(); a != nil && !json.Valid(a) || len(c.said) > maxBoxes {
			t.Errorf("%q makes %s of it", body, a)
		}
	})
}

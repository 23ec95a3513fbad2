// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"database/sql"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const (
	publicURL = "https://links.shop.example"
	secret    = "0123456789abcdef0123456789abcdef"
	writeKey  = "the-write-key-of-the-shop"
	lineUser  = "U0123456789abcdef0123456789abcdef"
)

var start = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// fixture is a gateway on a store, and the clock it reads.
type fixture struct {
	testing.TB
	st      *store.Store
	keys    WriteKeys
	clock   *clocktesting.FakePassiveClock
	signer  *content.Signer
	gateway *Gateway

	mu       sync.Mutex
	notified []string
}

func stores(t *testing.T, test func(f *fixture)) {
	testenv.Stores(t, func(t *testing.T, dsn string) { test(newFixture(t, dsn)) })
}

func newFixture(tb testing.TB, dsn string) *fixture {
	tb.Helper()
	st, err := store.Open(tb.Context(), dsn)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = st.Close() })
	if err := st.Migrate(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	f := &fixture{TB: tb, st: st, clock: clocktesting.NewFakePassiveClock(start)}
	if f.signer, err = content.NewSigner(publicURL, []byte(secret)); err != nil {
		tb.Fatal(err)
	}
	f.keys.Set(map[string]string{writeKey: "shop"})
	f.gateway = f.open(publicURL)
	return f
}

// open makes a gateway under an address, on the fixture's store.
func (f *fixture) open(publicURL string) *Gateway {
	f.Helper()
	g, err := New(Config{
		Store: f.st, Clock: f.clock, PublicURL: publicURL, Links: f.signer, WriteKeys: &f.keys,
		Credentials: CredentialsFunc(func(ns, channel, kind string) (string, bool) {
			switch {
			case ns != "shop":
				return "", false
			case channel == "sms-main" && kind == store.ChannelSMS, channel == "line-main" && kind == store.ChannelLINE:
				return secret, true
			}
			return "", channel == "half-made"
		}),
		Notify: func(ns, scenario string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.notified = append(f.notified, ns+"/"+scenario)
		},
		Shop: func(ns string) Shop { return Shop{Name: "<" + ns + " {what}>"} },
	})
	if err != nil {
		f.Fatal(err)
	}
	return g
}

// run is a subtest on the same store, emptied, which is quicker than a new one.
func (f *fixture) run(name string, test func(f *fixture)) {
	f.TB.(*testing.T).Run(name, func(t *testing.T) {
		for _, table := range []string{"messages", "receipts", "consents", "suppressions", "follows", "customers", "events", "arrivals", "listeners", "enrolments", "line_replies", "line_links"} {
			f.exec("DELETE FROM " + table)
		}
		sub := &fixture{TB: t, st: f.st, clock: clocktesting.NewFakePassiveClock(start), signer: f.signer}
		sub.keys.Set(map[string]string{writeKey: "shop"})
		sub.gateway = sub.open(publicURL)
		test(sub)
	})
}

// message writes a message's row and returns its key.
func (f *fixture) message(kind, channel, state string) uuid.UUID {
	f.Helper()
	id := uuid.New()
	f.exec(`INSERT INTO messages (id, ns, scenario, epoch, customer_id, entry, step, run, revision, channel, kind, state, reason,
  attempts, fence, parts, cost, due_at, planned_at, expires_at)
VALUES ($1, 'shop', 'second', '1', 'anna', $2, 's1', 'run', 'r1', $3, $4, $5, '', 1, 0, 1, 0, 0, 0, 0)`,
		id.String(), id.String(), channel, kind, state)
	return id
}

func (f *fixture) exec(query string, args ...any) {
	f.Helper()
	if _, err := f.st.Exec(f.Context(), query, args...); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) count(query string, args ...any) (n int) {
	f.Helper()
	if err := f.st.QueryRow(f.Context(), query, args...).Scan(&n); err != nil {
		f.Fatal(err)
	}
	return n
}

// marks are a message's state and times: those that are set, by the minutes since start.
type marks struct {
	state, provider                            string
	ended, delivered, opened, clicked, bounced string
}

func (f *fixture) marks(id uuid.UUID) marks {
	f.Helper()
	var m marks
	var provider sql.NullString
	var at [5]sql.NullInt64
	if err := f.st.QueryRow(f.Context(), `SELECT state, provider_id, ended_at, delivered_at, opened_at, clicked_at, bounced_at FROM messages WHERE id = $1`, id.String()).
		Scan(&m.state, &provider, &at[0], &at[1], &at[2], &at[3], &at[4]); err != nil {
		f.Fatal(err)
	}
	m.provider = provider.String
	for i, to := range []*string{&m.ended, &m.delivered, &m.opened, &m.clicked, &m.bounced} {
		if at[i].Valid {
			*to = store.Time(at[i].Int64).Sub(start).String()
		}
	}
	return m
}

// receipts are kinds in the order they happened, a machine's with a star, or two where it was known by its haste.
func (f *fixture) receipts(id uuid.UUID) string {
	f.Helper()
	rows, err := f.st.Query(f.Context(), `SELECT kind, machine, detail FROM receipts WHERE ns = 'shop' AND message_id = $1 ORDER BY occurred_at, id`, id.String())
	if err != nil {
		f.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var kind, detail string
		var machine int
		if err := rows.Scan(&kind, &machine, &detail); err != nil {
			f.Fatal(err)
		}
		if !json.Valid([]byte(detail)) {
			f.Errorf("the detail %q is not JSON", detail)
		}
		out = append(out, kind+strings.Repeat("*", machine))
	}
	if err := rows.Err(); err != nil {
		f.Fatal(err)
	}
	return strings.Join(out, " ")
}

func (f *fixture) token(kind content.Kind, id uuid.UUID) string {
	f.Helper()
	c := content.Claims{Namespace: "shop", Message: id}
	if kind == content.Click {
		c.Index, c.URL = 2, "https://shop.example/商品?a=1&b=2#top"
	}
	token, err := f.signer.Sign(kind, c)
	if err != nil {
		f.Fatal(err)
	}
	return "/" + string(kind) + "/" + token
}

func (f *fixture) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	f.gateway.ServeHTTP(w, r)
	return w
}

const browser = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15"

func request(method, path, body string) *http.Request {
	var b io.Reader
	if body != "" {
		b = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, path, b)
	r.Header.Set("User-Agent", browser)
	return r
}

func (f *fixture) get(path string) *httptest.ResponseRecorder {
	return f.do(request(http.MethodGet, path, ""))
}

func wantStatus(tb testing.TB, w *httptest.ResponseRecorder, want int) {
	tb.Helper()
	if w.Code != want {
		tb.Errorf("status %d, want %d: %s", w.Code, want, w.Body)
	}
}

func newSQLite(tb testing.TB) *fixture {
	tb.Helper()
	return newFixture(tb, testenv.SQLite(tb))
}

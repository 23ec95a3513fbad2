// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kaeru-dev/kaeru/internal/tracking"
)

// send brings facts with the shop's key.
func (f *fixture) send(path, body string) *httptest.ResponseRecorder {
	r := request(http.MethodPost, path, body)
	r.SetBasicAuth(writeKey, "")
	return f.do(r)
}

func packed(tb testing.TB, body string) string {
	tb.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(body)); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

const view = `{"type": "track", "userId": "anna", "event": "Product Viewed", "messageId": "%s", "properties": {"product_id": "tea"}}`

func TestTrackAnswers(t *testing.T) {
	f := newSQLite(t)
	one := fmt.Sprintf(view, "m1")
	for name, tt := range map[string]struct {
		path, body, authorization, encoding, contentType string
		want                                             int
		says                                             string
	}{
		"a call":                       {path: "/v1/track", body: one, want: 200, says: `{"success": true}`},
		"with a slash at the end":      {path: "/v1/track/", body: one, want: 200},
		"a batch":                      {path: "/v1/batch", body: `{"batch": [` + one + `]}`, want: 200},
		"an import":                    {path: "/v1/import", body: `{"batch": [` + one + `]}`, want: 200},
		"an empty batch":               {path: "/v1/batch", body: `{"batch": []}`, want: 200},
		"packed":                       {path: "/v1/track", body: packed(t, one), encoding: "gzip", want: 200},
		"a beacon":                     {path: "/v1/track", body: one[:len(one)-1] + `, "writeKey": "` + writeKey + `"}`, authorization: "-", contentType: "text/plain", want: 200},
		"a beacon's batch":             {path: "/v1/batch", body: `{"writeKey": "` + writeKey + `", "batch": [` + one + `]}`, authorization: "-", want: 200},
		"no key":                       {path: "/v1/track", body: one, authorization: "-", want: 401},
		"a wrong key":                  {path: "/v1/track", body: one, authorization: "Basic eDo=", want: 401},
		"a wrong key before all else":  {path: "/v1/track", body: "{", authorization: "Basic eDo=", want: 401},
		"a beacon that is too long":    {path: "/v1/track", body: `{"writeKey": "` + writeKey + `", "x": "` + strings.Repeat("x", maxUnknown) + `"}`, authorization: "-", want: 413},
		"not JSON":                     {path: "/v1/track", body: `{"type": `, want: 400, says: `"field":"body","reason":"is not JSON`},
		"no object":                    {path: "/v1/track", body: `[1]`, want: 400, says: "is not a JSON object"},
		"a batch that is none":         {path: "/v1/batch", body: `{"batch": 7}`, want: 400, says: `"field":"batch"`},
		"too long":                     {path: "/v1/track", body: strings.Repeat(" ", tracking.MaxBody+1), want: 413, says: "524288 bytes"},
		"too long when it is unpacked": {path: "/v1/track", body: packed(t, strings.Repeat(" ", 100*tracking.MaxBody)), encoding: "gzip", want: 413},
		"not packed":                   {path: "/v1/track", body: one, encoding: "gzip", want: 400, says: "not gzip"},
		"half packed":                  {path: "/v1/track", body: packed(t, one)[:40], encoding: "gzip", want: 400},
		"packed otherwise":             {path: "/v1/track", body: one, encoding: "br", want: 415},
		"a call that is too long":      {path: "/v1/track", body: `{"userId": "anna", "event": "x", "properties": {"a": "` + strings.Repeat("x", tracking.MaxCall) + `"}}`, want: 400, says: "32768 bytes"},
		"a product":                    {path: "/v1/products", body: `{"id": "tea", "stock": 3}`, want: 200},
		"products":                     {path: "/v1/products", body: `[{"id": "tea", "stock": 3}, {"id": "pot", "price": 12.5}]`, want: 200},
		"products by name":             {path: "/v1/products/", body: `{"products": [{"id": "tea", "stock": 3}]}`, want: 200},
		"a product without an id":      {path: "/v1/products", body: `[{"id": "tea"}, {"stock": 3}]`, want: 400, says: `"taken":1,"refused":1,"errors":[{"item":1,"field":"id"`},
		"a product with what is none":  {path: "/v1/products", body: `{"id": "tea", "colour": "green"}`, want: 400, says: `"field":"colour"`},
		"products without a key":       {path: "/v1/products", body: `{"id": "tea"}`, authorization: "-", want: 401},
		"no products":                  {path: "/v1/products", body: `7`, want: 400},
	} {
		r := request(http.MethodPost, tt.path, tt.body)
		r.SetBasicAuth(writeKey, "")
		if tt.authorization != "" {
			r.Header.Set("Authorization", strings.TrimPrefix(tt.authorization, "-"))
		}
		if tt.encoding != "" {
			r.Header.Set("Content-Encoding", tt.encoding)
		}
		r.Header.Set("Content-Type", tt.contentType)
		w := f.do(r)
		if w.Code != tt.want || !strings.Contains(w.Body.String(), tt.says) {
			t.Errorf("%s: status %d %s, want %d %q", name, w.Code, w.Body, tt.want, tt.says)
		}
	}
	w := f.do(request(http.MethodOptions, "/v1/track", ""))
	if w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("a browser's preflight: %d %v", w.Code, w.Header())
	}
	if w := f.get("/v1/track"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: status %d", w.Code)
	}
}

func TestBadCallsDoNotTakeTheGoodOnesWithThem(t *testing.T) {
	stores(t, func(f *fixture) {
		w := f.send("/v1/batch", `{"batch": [`+fmt.Sprintf(view, "m1")+`, {"type": "track", "userId": "anna"}, 7, {"type": "jump", "userId": "anna"},
			{"type": "identify", "userId": "anna", "traits": {"email": "anna"}}, `+fmt.Sprintf(view, "m2")+`]}`)
		wantStatus(f, w, http.StatusBadRequest)
		var got struct {
			Success        bool
			Taken, Refused int
			Errors         []tracking.Refusal
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			f.Fatal(err)
		}
		want := []tracking.Refusal{
			{Item: 1, Field: "event", Reason: "is missing: it is the name of what happened"},
			{Item: 2, Reason: "is not a JSON object"},
			{Item: 3, Field: "type", Reason: "is none of identify, track, page, screen, group, alias"},
			{Item: 4, Field: "traits.email", Reason: `"anna" is not an email address`},
		}
		if diff := cmp.Diff(want, got.Errors); diff != "" || got.Success || got.Taken != 2 || got.Refused != 4 {
			f.Errorf("%+v %s", got, diff)
		}
		if got := f.rows(`SELECT id FROM events ORDER BY id`); got != "m1 m2" {
			f.Errorf("events %s", got)
		}
	})
}

func TestTheSameCallAgain(t *testing.T) {
	stores(t, func(f *fixture) {
		body := func(sent string) string {
			return `{"sentAt": "` + sent + `", "batch": [{"type": "track", "userId": "anna", "event": "Order Refunded", "messageId": "m1", "timestamp": "2026-01-01T00:00:00Z", "properties": {"order_id": "o1", "total": 30}},
				{"type": "track", "userId": "anna", "event": "Order Completed", "timestamp": "2026-01-01T00:00:00Z", "properties": {"order_id": "o2", "total": 5}}]}`
		}
		wantStatus(f, f.send("/v1/track", `{"userId": "anna", "event": "Order Completed", "messageId": "m0", "properties": {"order_id": "o1", "total": 100}}`), 200)
		for range 3 { // sent again each time as a client does, at another time
			wantStatus(f, f.send("/v1/batch", body("2026-01-01T00:00:01Z")), 200)
			wantStatus(f, f.send("/v1/batch", body("2026-01-01T00:00:02Z")), 200)
		}
		if got := f.rows(`SELECT id || '=' || total || ' ' || status FROM orders ORDER BY id`); got != "o1=700000 completed o2=50000 completed" {
			f.Errorf("orders %s", got)
		}
		if n := f.count(`SELECT COUNT(*) FROM events`); n != 3 {
			f.Errorf("%d events", n)
		}
	})
}

func TestManyTrackAtOnce(t *testing.T) {
	stores(t, func(f *fixture) {
		var group sync.WaitGroup
		for i := range 40 {
			group.Go(func() {
				var calls []string
				for j := range 25 { // half of them are told by two
					calls = append(calls, fmt.Sprintf(`{"type": "track", "userId": "c%d", "event": "Product Added to Wishlist", "messageId": "m%d", "properties": {"product_id": "p%d"}}`, (i+j)%7, (i/2)*25+j, j))
				}
				if w := f.send("/v1/batch", `{"batch": [`+strings.Join(calls, ",")+`]}`); w.Code != http.StatusOK {
					f.Errorf("status %d: %s", w.Code, w.Body)
				}
			})
		}
		group.Wait()
		if n := f.count(`SELECT COUNT(*) FROM events`); n != 500 {
			f.Errorf("%d events, want 500", n)
		}
		if wrong, err := f.st.CheckMetrics(f.Context(), "shop"); err != nil || wrong > 0 {
			f.Errorf("%d rows are wrong: %v", wrong, err)
		}
	})
}

// TestWithoutTheStore: nothing is acknowledged that is not written, and the client is asked to come again.
func TestWithoutTheStore(t *testing.T) {
	f := newSQLite(t)
	f.exec(`ALTER TABLE events RENAME TO gone`)
	w := f.send("/v1/batch", `{"batch": [`+fmt.Sprintf(view, "m1")+`]}`)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("status %d, %v", w.Code, w.Header())
	}
	f.exec(`ALTER TABLE gone RENAME TO events`)
	wantStatus(t, f.send("/v1/batch", `{"batch": [`+fmt.Sprintf(view, "m1")+`]}`), http.StatusOK)
	if got := f.rows(`SELECT id FROM events`); got != "m1" {
		t.Errorf("events %s", got)
	}
}

func TestTooManyAtOnce(t *testing.T) {
	f := newSQLite(t)
	for range trackAtOnce {
		if _, ok := f.gateway.tracks.enter("shop"); !ok {
			t.Fatal("turned away too early")
		}
	}
	w := f.send("/v1/track", fmt.Sprintf(view, "m1"))
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" {
		t.Errorf("status %d, %v", w.Code, w.Header())
	}
	f.keys.Set(map[string]string{"the-key-of-the-mall": "mall"})
	r := request(http.MethodPost, "/v1/track", fmt.Sprintf(view, "m1"))
	r.SetBasicAuth("the-key-of-the-mall", "")
	wantStatus(t, f.do(r), http.StatusOK)

	// What waits to be written is bounded too.
	f.gateway.intake.size = intakeQueue
	r = request(http.MethodPost, "/v1/track", fmt.Sprintf(view, "m2"))
	r.SetBasicAuth("the-key-of-the-mall", "")
	wantStatus(t, f.do(r), http.StatusTooManyRequests)
}

func TestProductNews(t *testing.T) {
	stores(t, func(f *fixture) {
		f.exec(`INSERT INTO listeners (ns, scenario, kind, name, param, late) VALUES ('shop', 'back', 'product', 'Product Restocked', 0, 0)`)
		wantStatus(f, f.send("/v1/products", `{"id": "tea", "stock": 0, "price": 500}`), 200)
		wantStatus(f, f.send("/v1/products", `{"products": [{"id": "tea", "stock": 3}]}`), 200)
		if got := f.rows(`SELECT name || ' ' || stock || ' ' || price FROM products`); got != "tea 3 5000000" {
			f.Errorf("products %s", got)
		}
		if n := f.count(`SELECT COUNT(*) FROM fanouts WHERE scenario = 'back'`); n != 1 {
			f.Errorf("%d times in the news, want once", n)
		}
	})
}

func TestAnonymousVisitors(t *testing.T) {
	stores(t, func(f *fixture) {
		track := func(user, anonymous, event string) {
			f.Helper()
			wantStatus(f, f.send("/v1/track", fmt.Sprintf(`{"userId": %q, "anonymousId": %q, "event": %q}`, user, anonymous, event)), 200)
		}
		identify := func(user, anonymous string) {
			f.Helper()
			wantStatus(f, f.send("/v1/identify", fmt.Sprintf(`{"userId": %q, "anonymousId": %q, "traits": {"name": %q}}`, user, anonymous, user)), 200)
		}
		track("", "b1", "Seen")
		if got := f.rows(`SELECT id || ' ' || reach FROM customers`); got != "anonymous:b1 0" {
			f.Errorf("customers %s", got)
		}
		identify("anna", "b1")
		track("", "b1", "Added")
		// Somebody else on the same machine is not the same customer.
		identify("beth", "b1")
		track("beth", "b1", "Bought")
		// Nor can an anonymous id be the id of a customer.
		identify("carl", "anna")
		if got := f.rows(`SELECT name || '=' || customer_id FROM events ORDER BY name`); got != "Added=anna Bought=beth Seen=anna" {
			f.Errorf("events %s", got)
		}
		if got := f.rows(`SELECT id FROM customers ORDER BY id`); got != "anna beth carl" {
			f.Errorf("customers %s", got)
		}
		f.clock.SetTime(start.Add(time.Hour))
		wantStatus(f, f.send("/v1/alias", `{"previousId": "beth", "userId": "carl"}`), 200)
		wantStatus(f, f.send("/v1/alias", `{"previousId": "carl", "userId": "beth"}`), 200) // the other way round: nothing to do
		track("beth", "", "Came")
		if got := f.rows(`SELECT name FROM events WHERE customer_id = 'carl' ORDER BY name`); got != "Bought Came" {
			f.Errorf("events %s", got)
		}
	})
}

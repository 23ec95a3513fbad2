// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http/httptest"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// TestOfficialClients runs the clients as their vendors publish them.
func TestOfficialClients(t *testing.T) {
	packages := testenv.NPM(t, filepath.Join("testdata", "sdk"))
	for name, script := range map[string]string{"segment": "segment.js", "rudderstack": "rudder.js"} {
		t.Run(name, func(t *testing.T) {
			stores(t, func(f *fixture) {
				server := httptest.NewServer(f.gateway)
				defer server.Close()
				cmd := osexec.CommandContext(f.Context(), "node", filepath.Join("testdata", "sdk", script), server.URL, writeKey)
				cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(packages, "node_modules"))
				if out, err := cmd.CombinedOutput(); err != nil {
					f.Fatalf("%v: %s", err, out)
				}
				f.wantTracked()
			})
		})
	}
}

// wantTracked looks for what the scripts in testdata/sdk track.
func (f *fixture) wantTracked() {
	f.Helper()
	for what, tt := range map[string]struct{ query, want string }{
		"customers": {`SELECT id || ' ' || email || ' ' || reach FROM customers ORDER BY id`, "anna anna@shop.example 1"},
		"aliases":   {`SELECT alias || '=' || customer_id FROM aliases ORDER BY alias`, "anonymous:browser-1=anna anonymous:shop-7=anna shop-7=anna"},
		"events": {`SELECT name || '/' || customer_id FROM events ORDER BY name`, "Group Joined/anna Order Completed/anna Page Viewed/anna " +
			"Product Added to Wishlist/anna Product Viewed/anna Product Viewed/anna Screen Viewed/anna"},
		"orders": {`SELECT id || ' ' || customer_id || ' ' || total || ' ' || currency || ' ' || status || ' ' || source FROM orders`, "o1 anna 199900 JPY completed web"},
		"placed": {`SELECT CAST((SELECT MAX(occurred_at) FROM events) - placed_at AS BIGINT) / 60000 FROM orders`, "60"},
		"items":  {`SELECT product_id || ' ' || quantity || ' ' || price FROM order_items`, "tea 2 95000"},
		"wishes": {`SELECT product_id || '/' || category FROM favourites`, "cup/ware"},
		"metric": {`SELECT orders || ' ' || spend FROM metrics`, "1 199900"},
		"traits": {`SELECT CASE WHEN CAST(attributes AS TEXT) LIKE '%"firstName"%"Anna"%' AND CAST(attributes AS TEXT) LIKE '%"points"%12%' THEN 'both' END FROM customers`, "both"},
	} {
		if diff := cmp.Diff(tt.want, f.rows(tt.query)); diff != "" {
			f.Errorf("%s: %s", what, diff)
		}
	}
	if wrong, err := f.st.CheckMetrics(f.Context(), "shop"); err != nil || wrong > 0 {
		f.Errorf("%d metrics are wrong: %v", wrong, err)
	}
}

// rows are a query's only column.
func (f *fixture) rows(query string, args ...any) string {
	f.Helper()
	rows, err := f.st.Query(f.Context(), query, args...)
	if err != nil {
		f.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
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
	return strings.Join(out, " ")
}

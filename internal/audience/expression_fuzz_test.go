// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

var placed = regexp.MustCompile(`^line \d+, column \d+: .`)

// FuzzExpression holds that an expression is refused with a place, or made into a statement that the
// database takes and can evaluate.
func FuzzExpression(f *testing.F) {
	for _, text := range []string{
		`customer.orders >= 2 && customer.spend / customer.orders < 39745.2`, `now - customer.last_order_at < duration("720h")`,
		`customer.points * 2 > 20.5 ? customer.email.endsWith("@example.com") : customer["名"] < "花" && !customer.vip`,
		`customer.trial_ends < now + duration("168h") || timestamp("2026-01-31T00:00:00Z") == timestamp(customer.x)`,
		`"x" in customer && customer.a in [1, -2.5] && customer.a in ["1"] && has(customer.b)`, `size(string(customer.a)) > int(double(customer.b))`,
		`customer.vip == true != false`, `customer.attributes.x`, `[1].exists(x, x > 1)`, `Foo{a: {1: b"x"}}`, `1e300 * 1e300 > 5u`, `has(customer["x"])`, "\x00'", `!!!-(-(1))`,
		strings.Repeat("(", 39) + "customer.vip" + strings.Repeat(")", 39), strings.Repeat("!(true == ", 20) + "customer.vip" + strings.Repeat(")", 20),
		strings.Repeat("(customer.a / (", 18) + "customer.b" + strings.Repeat(" - 1))", 18) + " > 1",
		strings.Repeat("customer.a < 1 || ", 200) + "true",
		strings.Repeat("(customer.a ? ", 38) + "true" + strings.Repeat(": false)", 38),
	} {
		f.Add(text)
	}
	db := openSmall(f)
	f.Fuzz(func(t *testing.T, text string) {
		query, err := audience.Compile(expressionMatch(text), audience.Env{Namespace: "shop", Segment: "s", Dialect: store.SQLite})
		if text == "" {
			return
		}
		if err != nil {
			refused(t, text, err)
			return
		}
		var id string
		if err := db.QueryRow(context.Background(), query.SQL, query.Args(edgesNow, nil)...).Scan(&id); err != nil && !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("%q: %v\n%s", text, err, query.SQL)
		}
	})
}

// refused holds that an error is for the one who wrote the expression.
func refused(t *testing.T, text string, err error) {
	t.Helper()
	var invalid *audience.Invalid
	if !errors.As(err, &invalid) || !placed.MatchString(invalid.Reason) || strings.Contains(invalid.Reason, "database's words") {
		t.Errorf("%q: %v", text, err)
	}
}

// openSmall is a store with one customer.
func openSmall(tb testing.TB) *store.Store {
	tb.Helper()
	db, err := store.Open(context.Background(), testenv.SQLite(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(context.Background()); err != nil {
		tb.Fatal(err)
	}
	(&shop{people: []person{{id: "x", attributes: map[string]any{"a": "3", "b": 0, "vip": true}}}}).load(tb, db, "shop", edgesNow)
	return db
}

// TestArbitraryExpressions is the same for expressions that parse, most of which mean nothing.
func TestArbitraryExpressions(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	eachStore(t, func(t *testing.T, db *store.Store) {
		shopOf(time.UTC, "1", "0", "x", "2026-01-01", "true", "").load(t, db, "shop", edgesNow)
		r, taken := random{rand.New(rand.NewPCG(seed, 0))}, 0
		for n := 0; n < 5000 || taken == 0; n++ {
			text := r.arbitrary(1 + r.IntN(4))
			if r.IntN(2) == 0 {
				text += pick(r, " == ", " < ", " in ") + r.arbitrary(2)
			}
			query, err := audience.Compile(expressionMatch(text), audience.Env{Namespace: "shop", Segment: "s", Dialect: db.Dialect()})
			if err != nil {
				refused(t, text, err)
				continue
			}
			taken++
			var count int
			if err := db.QueryRow(t.Context(), "SELECT COUNT(*) FROM ("+query.SQL+") q", query.Args(edgesNow, nil)...).Scan(&count); err != nil {
				t.Errorf("%s: %v\n%s", text, err, query.SQL)
			}
		}
		t.Logf("%d are taken", taken)
	})
}

func (r random) arbitrary(depth int) string {
	if depth == 0 || r.IntN(4) == 0 {
		return pick(r, "customer.x", `customer["x y"]`, "customer.orders", "customer.average", "customer.id", "customer.last_order_at", "now", "customer",
			"0", "1", "2.5", "0.0", `"x"`, `"1"`, "true", "null", `timestamp("2026-01-01T00:00:00Z")`, `duration("24h")`, "[1, 2.5]", `["x"]`)
	}
	some := func() string { return r.arbitrary(depth - 1) }
	switch r.IntN(8) {
	case 0:
		return "(" + some() + pick(r, " && ", " || ", " == ", " != ", " < ", " >= ", " in ") + some() + ")"
	case 1, 2:
		return "(" + some() + pick(r, " + ", " - ", " * ", " / ", " % ") + some() + ")"
	case 3:
		return pick(r, "!", "-") + "(" + some() + ")"
	case 4:
		return "(" + some() + " ? " + some() + " : " + some() + ")"
	case 5:
		return pick(r, "int", "double", "string", "size", "timestamp", "duration", "has", "unknown") + "(" + some() + ")"
	case 6:
		return "(" + some() + ")." + pick(r, "startsWith", "endsWith", "contains", "size", "unknown") + "(" + some() + ")"
	}
	return some() + pick(r, ".x", ".size()", "[0]")
}

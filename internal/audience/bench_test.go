// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	testingclock "k8s.io/utils/clock/testing"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// benchmarkSize names the number of customers of the generated shop; without it there is no benchmark:
//
//	KAERU_BENCH_CUSTOMERS=100000 go test -run '^$' -bench . ./internal/audience
const benchmarkSize = "KAERU_BENCH_CUSTOMERS"

var benchmarkNow = time.Date(2026, 7, 1, 9, 0, 0, 0, time.UTC)

// benchmarks compares what Compile makes with what one would write by hand for the same question over
// the same tables. The moments %d are so many days ago.
var benchmarks = []struct {
	name, match, hand string
	ago               []int
}{
	{
		"one order 30 days ago", `all: [{orders: {exactly: 1}}, {lastOrder: {olderThan: 30d}}]`,
		`SELECT customer_id FROM metrics WHERE ns = 'shop' AND orders = 1 AND last_order_at <= %d`, []int{30},
	},
	{
		"top 30 percent silent 90 days", `all: [{spend: {topPercent: 30}}], none: [{orders: {within: 90d}}]`,
		`SELECT customer_id FROM metrics WHERE ns = 'shop' AND orders > 0 AND last_order_at <= %d AND spend >= (
			SELECT spend FROM metrics WHERE ns = 'shop' AND orders > 0 ORDER BY spend DESC LIMIT 1
			OFFSET (SELECT (count(*) * 30 + 99) / 100 - 1 FROM metrics WHERE ns = 'shop' AND orders > 0))`, []int{90},
	},
	{
		"category twice in 90 days not in the last 20", `all: [{orders: {atLeast: 2, within: 90d, where: {category: [tea]}}}], none: [{orders: {within: 20d}}]`,
		`SELECT o.customer_id FROM orders o WHERE o.ns = 'shop' AND o.placed_at > %d AND o.counted = 1
			AND EXISTS (SELECT 1 FROM order_items i WHERE i.ns = 'shop' AND i.order_id = o.id AND i.category = 'tea')
			AND EXISTS (SELECT 1 FROM metrics m WHERE m.ns = 'shop' AND m.customer_id = o.customer_id AND m.last_order_at <= %d)
			GROUP BY o.customer_id HAVING count(*) >= 2`, []int{90, 20},
	},
	{
		"three orders in a year", `all: [{orders: {atLeast: 3, within: 365d}}]`,
		`SELECT customer_id FROM orders WHERE ns = 'shop' AND placed_at > %d AND counted = 1 GROUP BY customer_id HAVING count(*) >= 3`, []int{365},
	},
	{
		"dormant", `all: [{lifecycle: {in: [Dormant]}}]`,
		`SELECT customer_id FROM metrics WHERE ns = 'shop' AND last_order_at <= %d`, []int{150},
	},
	{
		"spent 20000 in 180 days", `all: [{spend: {atLeast: 20000, within: 180d}}]`,
		`SELECT customer_id FROM orders WHERE ns = 'shop' AND placed_at > %d AND counted = 1 GROUP BY customer_id HAVING sum(total) >= 200000000`, []int{180},
	},
	{
		"top 10 percent of 180 days", `all: [{spend: {topPercent: 10, within: 180d}}]`,
		`SELECT customer_id FROM (SELECT customer_id, rank() OVER (ORDER BY amount DESC) AS place, count(*) OVER () AS buyers FROM (
			SELECT customer_id, sum(total) AS amount FROM orders WHERE ns = 'shop' AND placed_at > %d AND counted = 1 GROUP BY customer_id) a) b
			WHERE place <= (buyers * 10 + 99) / 100`, []int{180},
	},
	{
		"attributes", `all: [{attribute: {name: prefecture, in: [東京都, 大阪府]}}, {attribute: {name: age, atLeast: 30, atMost: 39}}]`,
		`SELECT id FROM customers WHERE ns = 'shop' AND attributes ->> 'prefecture' IN ('東京都', '大阪府') AND CAST(attributes ->> 'age' AS INTEGER) BETWEEN 30 AND 39`, nil,
	},
	{
		"never ordered and reachable by mail", `all: [{orders: {exactly: 0}}, {reachable: {channels: [email]}}]`,
		`SELECT c.id FROM customers c JOIN consents k ON k.ns = 'shop' AND k.customer_id = c.id AND k.channel = 'email' AND k.state = 'granted'
			WHERE c.ns = 'shop' AND c.email <> '' AND NOT EXISTS (SELECT 1 FROM metrics m WHERE m.ns = 'shop' AND m.customer_id = c.id AND m.orders > 0)
			AND NOT EXISTS (SELECT 1 FROM suppressions s WHERE s.ns = 'shop' AND s.channel = 'email' AND s.address = c.email)`, nil,
	},
	{
		"either of two", `any: [{orders: {atLeast: 3, within: 365d}}, {spend: {topPercent: 10}}, {segment: {name: vip}}]`, "", nil,
	},
	{
		"birthday", `all: [{attribute: {name: birthday, anniversaryWithin: 7d}}]`,
		`SELECT id FROM customers WHERE ns = 'shop' AND substr(attributes ->> 'birthday', 6, 5) BETWEEN '07-01' AND '07-08'`, nil,
	},
}

// BenchmarkSegments reports the time of each question, that of the hand-written statement, and their ratio.
func BenchmarkSegments(b *testing.B) {
	size, err := strconv.Atoi(os.Getenv(benchmarkSize))
	if err != nil {
		b.Skipf("set %s to the number of customers, such as 100000", benchmarkSize)
	}
	for name, dsn := range map[string]func(testing.TB) string{"sqlite": testenv.SQLite, "postgres": testenv.Postgres} {
		b.Run(name, func(b *testing.B) {
			db := benchmarkShop(b, dsn(b), size)
			for _, bench := range benchmarks {
				b.Run(bench.name, func(b *testing.B) { benchmarkSegment(b, db, bench.match, bench.hand, bench.ago) })
			}
		})
	}
}

func benchmarkSegment(b *testing.B, db *store.Store, text, hand string, ago []int) {
	match := parseMatch(b, text)
	query, err := audience.Compile(match, audience.Env{Namespace: "shop", Dialect: db.Dialect()})
	if err != nil {
		b.Fatal(err)
	}
	var members int64
	timed := func(statement string, args ...any) time.Duration {
		began := time.Now()
		err := db.Tx(b.Context(), func(tx *store.Tx) error {
			if err := audience.SetUpPlanner(b.Context(), tx); err != nil {
				return err
			}
			return tx.QueryRow(b.Context(), "SELECT count(*) FROM (\n"+statement+"\n) q", args...).Scan(&members)
		})
		if err != nil {
			b.Fatalf("%v\n%s", err, statement)
		}
		return time.Since(began)
	}
	moments := make([]any, len(ago))
	for i, days := range ago {
		moments[i] = store.Millis(benchmarkNow.AddDate(0, 0, -days))
	}
	// In turns, and the fastest of each: what else the machine does slows down both.
	compiled, written := time.Hour, time.Hour
	var found int64
	for b.Loop() {
		compiled = min(compiled, timed(query.SQL, query.Args(benchmarkNow, nil)...))
		if found = members; hand == "" {
			continue
		}
		if written = min(written, timed(fmt.Sprintf(hand, moments...))); members != found {
			b.Fatalf("by hand there are %d, not %d", members, found)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(found), "members")
	b.ReportMetric(float64(compiled)/1e6, "ms")
	if hand != "" {
		b.ReportMetric(float64(written)/1e6, "hand-ms")
		b.ReportMetric(float64(compiled)/float64(written), "ratio")
	}
	refresher := audience.Refresher{Store: db, Clock: testingclock.NewFakeClock(benchmarkNow)}
	var durations []time.Duration
	for range 2 {
		result, err := refresher.Refresh(b.Context(), "shop", "bench", &v1alpha1.SegmentSpec{Match: match}, audience.Shop{})
		if err != nil {
			b.Fatal(err)
		}
		durations = append(durations, result.Duration)
	}
	b.ReportMetric(float64(durations[0])/1e6, "refresh-ms")
	b.ReportMetric(float64(durations[1])/1e6, "again-ms")
}

// benchmarkShop makes a shop with five orders a customer, two items an order.
func benchmarkShop(b *testing.B, dsn string, customers int) *store.Store {
	db, err := store.Open(b.Context(), dsn)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(b.Context()); err != nil {
		b.Fatal(err)
	}
	g := &generated{Rand: rand.New(rand.NewPCG(1, 2)), customers: customers}
	err = db.Tx(context.WithoutCancel(b.Context()), func(tx *store.Tx) error {
		for _, table := range []struct {
			name    string
			columns []string
			rows    iter.Seq[[]any]
		}{
			{"customers", []string{"ns", "id", "email", "attributes", "created_at", "updated_at"}, g.customerRows()},
			{"consents", []string{"ns", "customer_id", "channel", "state", "source", "changed_at"}, g.consentRows()},
			{"orders", []string{"ns", "id", "customer_id", "placed_at", "total", "status", "source", "counted", "received_at"}, g.orderRows()},
			{"order_items", []string{"ns", "order_id", "line", "customer_id", "product_id", "category", "quantity", "price"}, g.itemRows()},
		} {
			if _, err := store.BulkInsert(b.Context(), tx, table.name, table.columns, table.rows); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := db.RebuildMetrics(b.Context(), "shop"); err != nil {
		b.Fatal(err)
	}
	analyze := "VACUUM ANALYZE"
	if db.Dialect() == store.SQLite {
		analyze = "ANALYZE"
	}
	if os.Getenv("KAERU_BENCH_NOANALYZE") == "" {
		if _, err := db.Exec(b.Context(), analyze); err != nil {
			b.Fatal(err)
		}
	}
	return db
}

type generated struct {
	*rand.Rand
	customers int
	owners    []int
}

func customerID(n int) string { return fmt.Sprintf("c%07d", n*7919%10_000_000) }

func (g *generated) customerRows() iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for n := range g.customers {
			attributes := fmt.Sprintf(`{"age":%d,"birthday":"%d-%02d-%02d","prefecture":"%s"}`,
				20+g.IntN(50), 1950+g.IntN(50), 1+g.IntN(12), 1+g.IntN(28), []string{"東京都", "大阪府", "北海道", "福岡県", "愛知県"}[g.IntN(5)])
			if !yield([]any{"shop", customerID(n), fmt.Sprintf("%d@example.com", n), attributes, int64(0), int64(0)}) {
				return
			}
		}
	}
}

func (g *generated) consentRows() iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for n := range g.customers {
			if g.IntN(10) < 7 && !yield([]any{"shop", customerID(n), "email", "granted", "import", int64(0)}) {
				return
			}
		}
	}
}

func (g *generated) orderRows() iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for n := range g.customers * 5 {
			// Some buy much more than others, and one in five never.
			owner := int(float64(g.customers) * 0.8 * g.Float64() * g.Float64())
			g.owners = append(g.owners, owner)
			placed := benchmarkNow.Add(-time.Duration(g.Float64() * float64(730*24*time.Hour)))
			status, counted := "paid", int64(1)
			if g.IntN(50) == 0 {
				status, counted = "cancelled", 0
			}
			total := int64(money.Unit) * int64(500+g.IntN(20000))
			if !yield([]any{"shop", fmt.Sprintf("o%08d", n), customerID(owner), store.Millis(placed), total, status, "web", counted, int64(0)}) {
				return
			}
		}
	}
}

func (g *generated) itemRows() iter.Seq[[]any] {
	return func(yield func([]any) bool) {
		for n, owner := range g.owners {
			for line := range 2 {
				category := []string{"skincare", "food", "tea", "kitchen", "books"}[g.IntN(5)]
				if !yield([]any{"shop", fmt.Sprintf("o%08d", n), int64(line), customerID(owner), fmt.Sprintf("p%d", g.IntN(500)), category, int64(1), nil}) {
					return
				}
			}
		}
	}
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// orderLines makes a file of orders as it is read: customers have some five orders each.
type orderLines struct {
	buffer      bytes.Buffer
	next, count int
}

func (o *orderLines) Read(p []byte) (int, error) {
	if o.next == 0 {
		o.buffer.WriteString("id,customer_id,placed_at,total,currency,status,source\n")
	}
	for o.buffer.Len() < len(p) && o.next < o.count {
		i := uint64(o.next)
		customer := i * 2654435761 % (uint64(o.count)/5 + 1)
		at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * 20 * time.Second)
		fmt.Fprintf(&o.buffer, "order-%08d,customer-%07d,%s,%d,JPY,paid,web\n", i, customer, at.Format(time.RFC3339), 500+i%20000)
		o.next++
	}
	if o.buffer.Len() == 0 {
		return 0, io.EOF
	}
	return o.buffer.Read(p)
}

// BenchmarkOrders imports b.N orders: go test -run '^$' -bench Orders -benchtime 1000000x
func BenchmarkOrders(b *testing.B) {
	for name, dsn := range map[string]func(testing.TB) string{"sqlite": testenv.SQLite, "postgres": testenv.Postgres} {
		b.Run(name, func(b *testing.B) {
			ctx := b.Context()
			s, err := store.Open(ctx, dsn(b))
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			if err := s.Migrate(ctx); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			for _, again := range []string{"orders/s", "unchanged/s"} {
				start := time.Now()
				result, err := Run(ctx, s, "shop", "orders", &orderLines{count: b.N}, CSV, Options{})
				if err != nil || result.Counts.Total() != int64(b.N) {
					b.Fatalf("%+v, %v", result, err)
				}
				b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), again)
			}
		})
	}
}

// BenchmarkParse reads rows and stores nothing.
func BenchmarkParse(b *testing.B) {
	opts := Options{Location: time.UTC}
	rows, err := openRows(source{&orderLines{count: b.N}, CSV}, orders, &opts)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for {
		var o store.Order
		if _, _, err := rows.next(&o); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			b.Fatal(err)
		}
	}
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// load is clients who track.
type load struct {
	options
	url string
}

// part is one measurement.
type part struct {
	name  string
	index int
	// rate is calls a second, 0 for as many as are taken.
	rate int
	// during happens in the middle.
	during func(context.Context) error

	calls, events, orders, retries atomic.Int64
	took                           time.Duration

	mu        sync.Mutex
	latencies []time.Duration
}

// run sends batches until the time of the part is over, and each of them until it was taken.
func (l *load) run(ctx context.Context, p *part) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	client := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: l.clients}}
	began := time.Now()
	until := began.Add(l.each)
	var next atomic.Int64
	var group sync.WaitGroup
	for c := range l.clients {
		group.Go(func() {
			r := rand.New(rand.NewPCG(uint64(p.index), uint64(c)))
			for ctx.Err() == nil {
				n := next.Add(1) - 1
				due := time.Now()
				if p.rate > 0 {
					due = began.Add(time.Duration(n) * time.Second * time.Duration(l.batch) / time.Duration(p.rate))
				}
				if due.After(until) {
					return
				}
				time.Sleep(time.Until(due))
				if err := l.send(ctx, client, p, l.body(r, p, n)); err != nil {
					cancel(err)
					return
				}
				p.took1(time.Since(due))
			}
		})
	}
	if p.during != nil {
		time.Sleep(l.each / 2)
		if err := p.during(ctx); err != nil {
			cancel(err)
		}
	}
	group.Wait()
	p.took = time.Since(began)
	return context.Cause(ctx)
}

func (p *part) took1(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latencies = append(p.latencies, d)
}

// send tries until the batch was taken, as the official clients do.
func (l *load) send(ctx context.Context, client *http.Client, p *part, body []byte) error {
	for {
		status, said, err := l.post(ctx, client, body)
		switch {
		case err == nil && status == http.StatusOK:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && status < 500 && status != http.StatusTooManyRequests:
			return fmt.Errorf("the gateway answered %d: %s", status, said)
		}
		p.retries.Add(1)
		time.Sleep(200 * time.Millisecond)
	}
}

func (l *load) post(ctx context.Context, client *http.Client, body []byte) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url+"/v1/batch", bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	req.SetBasicAuth(key, "")
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	said, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	return res.StatusCode, string(said), err
}

var names = []string{"Product Viewed", "Product Viewed", "Product Viewed", "Product Added", "Product List Viewed", "Checkout Started", "Product Added to Wishlist"}

const callContext = `"context":{"library":{"name":"@segment/analytics-node","version":"3.1.0"},"userAgent":"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15"},"integrations":{}`

// body is a batch: of a hundred calls two are orders, four pages, four tell who somebody is, and the rest are
// what customers do in a shop.
func (l *load) body(r *rand.Rand, p *part, n int64) []byte {
	now := time.Now().UTC()
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"sentAt":%q,"batch":[`, now.Format(time.RFC3339Nano))
	for i := range l.batch {
		if i > 0 {
			b.WriteByte(',')
		}
		id := fmt.Sprintf("%d-%d-%d", p.index, n, i)
		fmt.Fprintf(&b, `{"messageId":%q,"userId":"customer-%d","timestamp":%q,%s,`, id, r.IntN(l.customers), now.Add(-time.Duration(r.IntN(5000))*time.Millisecond).Format(time.RFC3339Nano), callContext)
		product := r.IntN(2000)
		switch kind := i % 100; {
		case kind < 2:
			p.orders.Add(1)
			p.events.Add(1)
			fmt.Fprintf(&b, `"type":"track","event":"Order Completed","properties":{"order_id":%q,"total":%d,"currency":"JPY","products":[{"product_id":"p%d","name":"Product %d","category":"tea","price":1200,"quantity":1},{"product_id":"p%d","price":800,"quantity":2}]}}`,
				id, 1000+r.IntN(20000), product, product, r.IntN(2000))
		case kind < 6:
			p.events.Add(1)
			fmt.Fprintf(&b, `"type":"page","name":"Product","properties":{"url":"https://shop.example/products/%d","title":"Product %d","referrer":"https://search.example/"}}`, product, product)
		case kind < 10:
			fmt.Fprintf(&b, `"type":"identify","traits":{"plan":"%d","last_seen":%q,"prefecture":"Tokyo"}}`, r.IntN(3), now.Format(time.DateOnly))
		default:
			p.events.Add(1)
			fmt.Fprintf(&b, `"type":"track","event":%q,"properties":{"product_id":"p%d","name":"Product %d","category":"tea","price":1200,"url":"https://shop.example/products/%d"}}`,
				names[r.IntN(len(names))], product, product, product)
		}
	}
	b.WriteString(`]}`)
	p.calls.Add(int64(l.batch))
	return b.Bytes()
}

// print tells what came of it, and what it cost a call.
func (p *part) print(gateway, postgres time.Duration) {
	slices.Sort(p.latencies)
	at := func(q float64) string {
		return p.latencies[min(int(q*float64(len(p.latencies))), len(p.latencies)-1)].Round(100 * time.Microsecond).String()
	}
	fmt.Printf("%-28s %10d %10.0f %9s %9s %9s %8d %6.0f µs %s\n", p.name, p.calls.Load(), float64(p.calls.Load())/p.took.Seconds(),
		at(0.5), at(0.99), at(1), p.retries.Load(), float64(gateway.Microseconds())/float64(p.calls.Load()), perCall(postgres, p.calls.Load()))
}

// perCall is empty where the server was restarted.
func perCall(cpu time.Duration, calls int64) string {
	if cpu < 0 {
		return ""
	}
	return fmt.Sprintf("%8.0f µs", float64(cpu.Microseconds())/float64(calls))
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Command gatewaybench measures how many tracked calls the gateway takes:
//
//	go run ./hack/gatewaybench
//
// It starts a PostgreSQL that is as durable as one in production and a gateway in a process of its own,
// and sends batches of calls from several clients: as fast as they are taken, at 5,000 calls a second, at
// half of that, and again at half while PostgreSQL is restarted without warning, after which clients try again
// until they are told that their batch was taken. Latency counts from when a batch was due, so that a queue
// shows. In the end each event that was sent must be in the database, once. It ends with 1 where one is
// not, never because something took long.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

type options struct {
	rate, clients, batch, customers int
	each                            time.Duration
}

func main() {
	if address := os.Getenv(serveEnv); address != "" {
		if err := serve(address, os.Getenv(storeEnv)); err != nil {
			fmt.Fprintln(os.Stderr, "gatewaybench: gateway:", err)
			os.Exit(1)
		}
		return
	}
	var o options
	flag.IntVar(&o.rate, "rate", 5000, "calls a second; half of it is measured too")
	flag.IntVar(&o.clients, "clients", 16, "clients, each of which sends one batch at a time")
	flag.IntVar(&o.batch, "batch", 100, "calls a batch")
	flag.IntVar(&o.customers, "customers", 100_000, "customers whom the calls are about")
	flag.DurationVar(&o.each, "each", 20*time.Second, "how long each part takes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	right, err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "gatewaybench:", err)
	}
	if err != nil || !right {
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (right bool, err error) {
	db, err := startDatabase(ctx)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, db.stop()) }()
	st, err := prepare(ctx, db.dsn)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	gateway, err := startGateway(ctx, db.dsn)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, gateway.stop()) }()

	l := &load{options: o, url: gateway.url}
	fmt.Printf("%-28s %10s %10s %9s %9s %9s %8s %9s %11s\n", "", "calls", "calls/s", "p50", "p99", "longest", "retries", "gateway", "PostgreSQL")
	var sent []*part
	for _, p := range []*part{
		{name: "as fast as they are taken"},
		{name: fmt.Sprintf("%d a second", o.rate), rate: o.rate},
		{name: fmt.Sprintf("%d a second", o.rate/2), rate: o.rate / 2},
		{name: "the same, with a restart", rate: o.rate / 2, during: db.restart},
	} {
		p.index = len(sent)
		before, beforeDB := gateway.cpu(), db.cpu()
		if err := l.run(ctx, p); err != nil {
			return false, err
		}
		sent = append(sent, p)
		p.print(gateway.cpu()-before, db.cpu()-beforeDB)
	}
	return check(ctx, st, sent)
}

// check looks for all that was sent.
func check(ctx context.Context, st *store.Store, sent []*part) (right bool, err error) {
	right = true
	for _, p := range sent {
		var events, orders int64
		prefix := fmt.Sprintf("%d-", p.index)
		err := st.QueryRow(ctx, `SELECT (SELECT COUNT(*) FROM events WHERE ns = $1 AND id LIKE $2), (SELECT COUNT(*) FROM orders WHERE ns = $1 AND id LIKE $2)`, namespace, prefix+"%").Scan(&events, &orders)
		if err != nil {
			return false, fmt.Errorf("look for what was sent: %w", err)
		}
		if events != p.events.Load() || orders != p.orders.Load() {
			right = false
		}
		fmt.Printf("%-28s %d of %d events and %d of %d orders are in the database\n", p.name+":", events, p.events.Load(), orders, p.orders.Load())
	}
	wrong, err := st.CheckMetrics(ctx, namespace)
	if err != nil {
		return false, err
	}
	fmt.Printf("customers with wrong metrics: %d\n", wrong)
	return right && wrong == 0, nil
}

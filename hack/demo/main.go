// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Command demo brings up a whole Kaeru on this machine alone: a control plane, the sandbox, the
// manager on SQLite and a made-up shop, and lets five business days pass in two minutes, with
// customers who open, click, unsubscribe and buy.
//
// With DEMO=once it checks that all of it is right and ends; otherwise it stays up until Ctrl-C.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	once := os.Getenv("DEMO") == "once"
	err := run(ctx, once)
	switch {
	case err == nil:
	case errors.Is(err, context.Canceled) && ctx.Err() != nil && !once:
		fmt.Println("\nStopped. Everything that the demo started has ended.")
	default:
		fmt.Fprintln(os.Stderr, "\ndemo: "+err.Error())
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

// run is the demo from its first line to its last.
func run(ctx context.Context, once bool) (err error) {
	began := time.Now()
	d, err := newDemo()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close(err)) }()
	steps := []struct {
		title string
		do    func(context.Context) error
	}{
		{"Control plane: etcd and kube-apiserver, with Kaeru's CRDs", d.startCluster},
		{"Sandbox: stands in for LINE, Twilio and a mail server", d.startSandbox},
		{"Shop: customers, orders and products into SQLite", d.importShop},
		{"Manager: the one process that does everything", d.startManager},
		{"Apply config/samples/demo", d.apply},
		{"Five days, with customers who open, click and buy", d.live},
		{"What Kaeru says, held against what arrived", d.verify},
	}
	fmt.Println("Kaeru's demo. Nothing leaves this machine; it takes about three minutes.")
	for i, s := range steps {
		fmt.Printf("\n%d  %s\n", i+1, s.title)
		if err := s.do(ctx); err != nil {
			return err
		}
	}
	if err := d.tables(ctx); err != nil {
		return err
	}
	if once {
		fmt.Printf("\nAll of it is right. It took %s.\n", time.Since(began).Round(time.Second))
		return nil
	}
	d.whereNext()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-d.manager.done:
		return d.manager.ended()
	case <-d.sandbox.done:
		return d.sandbox.ended()
	}
}

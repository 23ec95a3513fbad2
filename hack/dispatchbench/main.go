// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Command dispatchbench measures how fast messages go out:
//
//	go run ./hack/dispatchbench
//
// It starts a PostgreSQL that is as durable as one in production, or makes a SQLite file, and a sink in a process of
// its own that takes mails and pushes. Runs are planned, and sent by one or more processes with the engine and the
// senders of production: claim, render with tracked links, begin, send, record. In the same run the bare clients
// send the same to the same sink, with as many connections. It ends with 1 where a message was not sent, never
// because something took long.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	sinkEnv = "DISPATCHBENCH_SINK"
	workEnv = "DISPATCHBENCH_WORK"
	timeout = time.Minute
)

type options struct {
	stores, parts         []string
	sizes, workers        []int
	connections, rate, at int
	during                time.Duration
	output, profiles      string
	costly                int
}

// bencher is a run of this program.
type bencher struct {
	options
	mails, pushes string // the sink's addresses
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	switch {
	case os.Getenv(sinkEnv) != "":
		err = sink(ctx, os.Stdout)
	case os.Getenv(workEnv) != "":
		err = work(ctx, os.Getenv(workEnv), os.Stdout)
	default:
		var o options
		if o, err = parse(os.Args[1:]); errors.Is(err, flag.ErrHelp) {
			return
		}
		if err == nil {
			err = run(ctx, o)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "dispatchbench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func parse(args []string) (o options, err error) {
	f := flag.NewFlagSet("dispatchbench", flag.ContinueOnError)
	stores := f.String("store", "postgres,sqlite", "which stores")
	parts := f.String("parts", "mail,line,stream", "what to measure")
	sizes := f.String("messages", "10000,100000", "how many messages a run has, with commas for several, such as 10000,100000,1000000")
	workers := f.String("workers", "1,4", "how many processes send on PostgreSQL; with more than one the run is the smallest")
	f.IntVar(&o.connections, "connections", 10, "connections to the mail server, of all processes together, and pushes at a time")
	f.IntVar(&o.rate, "rate", 2000, "pushes a second of the run that has a limit")
	f.IntVar(&o.at, "due", 100, "messages a second that come due in a stream")
	f.DurationVar(&o.during, "during", 20*time.Second, "for how long they do")
	f.StringVar(&o.output, "o", "table", "table or json")
	f.StringVar(&o.profiles, "pprof", "", "directory for CPU profiles of the processes that send")
	f.IntVar(&o.costly, "statements", 0, "print so many statements that took PostgreSQL longest")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	o.stores, o.parts = strings.Split(*stores, ","), strings.Split(*parts, ",")
	for _, list := range []struct {
		flag   string
		values []string
		of     []string
	}{{"store", o.stores, []string{"postgres", "sqlite"}}, {"parts", o.parts, []string{"mail", "line", "stream"}}, {"o", []string{o.output}, []string{"table", "json"}}} {
		for _, value := range list.values {
			if !slices.Contains(list.of, value) {
				return o, fmt.Errorf("-%s %q: write %s", list.flag, value, strings.Join(list.of, ", "))
			}
		}
	}
	for _, list := range []struct {
		flag, text string
		into       *[]int
	}{{"messages", *sizes, &o.sizes}, {"workers", *workers, &o.workers}} {
		for text := range strings.SplitSeq(list.text, ",") {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 {
				return o, fmt.Errorf("-%s %q: write numbers from 1 on, with commas between them", list.flag, list.text)
			}
			*list.into = append(*list.into, n)
		}
		slices.Sort(*list.into)
	}
	return o, nil
}

func run(ctx context.Context, o options) (err error) {
	s, err := start(sinkEnv, "1")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	b := &bencher{options: o}
	b.mails, b.pushes, _ = strings.Cut(s.said, " ")
	r := &report{output: o.output}
	if err := b.ceilings(ctx, r); err != nil {
		return err
	}
	for _, name := range o.stores {
		if err := b.on(ctx, name, r); err != nil {
			return fmt.Errorf("on %s: %w", name, err)
		}
	}
	return r.end(os.Stdout)
}

// ceilings are what the clients alone do, each after a round that warms it up.
func (b *bencher) ceilings(ctx context.Context, r *report) error {
	n := min(b.sizes[0], 20_000)
	for _, c := range []struct {
		part, name string
		do         func(ctx context.Context, address string, n, at int) (time.Duration, error)
		address    string
	}{{"mail", goMail, byGoMail, b.mails}, {"mail", pipelined, byHand, b.mails}, {"line", sdk, bySDK, b.pushes}} {
		if !slices.Contains(b.parts, c.part) {
			continue
		}
		if _, err := c.do(ctx, c.address, n/10+1, b.connections); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		took, err := c.do(ctx, c.address, n, b.connections)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		r.add(measured{What: c.name, Messages: n, Seconds: took.Seconds(), Rate: float64(n) / took.Seconds()})
	}
	return nil
}

func (b *bencher) on(ctx context.Context, name string, r *report) (err error) {
	db, err := startDatabase(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.stop()) }()
	add := func(m measured, err error) error {
		if err == nil {
			r.add(m)
		}
		return err
	}
	if slices.Contains(b.parts, "mail") {
		for _, n := range b.sizes {
			if err := add(b.run(ctx, db, "email", n, 1, 0)); err != nil {
				return err
			}
		}
		for _, workers := range b.workers {
			if workers == 1 || name == "sqlite" {
				continue
			}
			if err := add(b.run(ctx, db, "email", b.sizes[0], workers, 0)); err != nil {
				return err
			}
		}
	}
	if slices.Contains(b.parts, "line") {
		for _, rate := range []float64{0, float64(b.rate)} {
			if err := add(b.run(ctx, db, "line", b.sizes[0], 1, rate)); err != nil {
				return err
			}
		}
	}
	if slices.Contains(b.parts, "stream") {
		if err := add(b.latency(ctx, db, "email", b.at, b.during)); err != nil {
			return err
		}
	}
	return db.print(ctx, os.Stderr, b.costly)
}

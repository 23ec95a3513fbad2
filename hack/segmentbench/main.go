// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Command segmentbench measures segments against SQL by hand, over a made-up shop:
//
//	go run ./hack/segmentbench
//
// It compares the full evaluation of a segment of each kind, and the whole refresh, with the fastest
// statements by hand over the same tables and indexes; and a round of all segments after something was
// learnt of one customer in a hundred, of half of them that they bought, with asking for all again. The
// segments, and their statements by hand, are in kinds. It ends with 1 where members differ, never because
// something took long.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	testingclock "k8s.io/utils/clock/testing"

	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/store"
)

type options struct {
	customers, runs, rounds  int
	seed                     uint64
	store, keep, dsn, output string
	parts                    string
	later                    time.Duration
}

func main() {
	o, err := parse(os.Args[1:], os.Stderr)
	if err != nil {
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	right, err := run(ctx, o, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "segmentbench:", err)
	}
	if err != nil || !right {
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func parse(args []string, w io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("segmentbench", flag.ContinueOnError)
	f.SetOutput(w)
	f.IntVar(&o.customers, "customers", 0, "customers of the shop, with 5 orders and 10 events each; 0 is 1000000 on PostgreSQL and 100000 on SQLite")
	f.StringVar(&o.store, "store", "both", "postgres, sqlite or both")
	f.Uint64Var(&o.seed, "seed", 1, "of the random numbers: the same seed makes the same shop")
	f.StringVar(&o.keep, "keep", "", "directory where loaded shops stay, to be copied the next time; a user that PostgreSQL runs as must be able to go there")
	f.StringVar(&o.dsn, "dsn", "", "database to use, postgres://… or sqlite://…, instead of a server or file of its own; it is filled when it is empty, and changed")
	f.IntVar(&o.runs, "runs", 5, "how often each is measured; the fastest counts")
	f.StringVar(&o.parts, "parts", "full,round", "what to measure")
	f.IntVar(&o.rounds, "rounds", 5, "rounds, each after a churn of its own; the middle one counts")
	f.DurationVar(&o.later, "later", 15*time.Minute, "time between rounds")
	f.StringVar(&o.output, "o", "table", "table or json")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	for _, choice := range []struct {
		name, value string
		of          []string
	}{{"store", o.store, []string{"postgres", "sqlite", "both"}}, {"o", o.output, []string{"table", "json"}}, {"parts", o.parts, []string{"full", "round", "full,round"}}} {
		if !slices.Contains(choice.of, choice.value) {
			err := fmt.Errorf("-%s %s: write one of %s", choice.name, choice.value, strings.Join(choice.of, ", "))
			fmt.Fprintln(w, err)
			return o, err
		}
	}
	if f.NArg() > 0 || o.customers < 0 || o.runs < 1 || o.rounds < 1 || o.later <= 0 {
		err := errors.New("-customers must not be negative, -runs, -rounds and -later must be above 0, and there are no other arguments")
		fmt.Fprintln(w, err)
		return o, err
	}
	return o, nil
}

// run measures all that was asked for, and tells whether all members were right.
func run(ctx context.Context, o options, out, log io.Writer) (bool, error) {
	var reports []*storeReport
	right := true
	for _, dialect := range []store.Dialect{store.Postgres, store.SQLite} {
		if o.dsn != "" && !strings.HasPrefix(o.dsn, string(dialect)) || o.dsn == "" && o.store != "both" && o.store != string(dialect) {
			continue
		}
		report, err := runStore(ctx, o, dialect, log)
		if err != nil {
			return false, fmt.Errorf("%s: %w", dialect, err)
		}
		reports, right = append(reports, report), right && len(report.Disagreements) == 0
		if o.output == "table" {
			if err := report.print(out); err != nil {
				return false, err
			}
		}
	}
	if o.output == "json" {
		return right, printJSON(out, reports)
	}
	return right, nil
}

func runStore(ctx context.Context, o options, dialect store.Dialect, log io.Writer) (_ *storeReport, err error) {
	s := &shop{customers: o.customers, seed: o.seed}
	if s.customers == 0 {
		s.customers = map[store.Dialect]int{store.Postgres: 1_000_000, store.SQLite: 100_000}[dialect]
	}
	p := &progress{w: log}
	p.say("%s: %d customers", dialect, s.customers)
	db, end, err := database(ctx, o, dialect, s, p)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	asked, err := questions()
	if err != nil {
		return nil, err
	}
	clock := testingclock.NewFakeClock(today)
	b := &bench{
		db: db, shop: s, questions: asked, runs: o.runs, rounds: o.rounds, later: o.later, progress: p, clock: clock,
		refresher: &audience.Refresher{Store: db, Clock: clock},
		report:    &storeReport{Store: string(dialect), Customers: s.customers, Orders: s.orders(), Events: s.events()},
	}
	if dialect == store.Postgres && o.dsn == "" {
		b.report.Settings = serverSettings
	}
	b.report.memory(&b.report.Round.Memory.Load)
	supported, err := b.supported()
	if err != nil {
		return nil, err
	}
	if strings.Contains(o.parts, "full") {
		if err := b.full(ctx, supported); err != nil {
			return nil, err
		}
		b.report.memory(&b.report.Round.Memory.Full)
	}
	if strings.Contains(o.parts, "round") {
		if err := b.round(ctx, supported); err != nil {
			return nil, err
		}
	}
	return b.report, nil
}

// database gives the shop's database, and what ends the use of it.
func database(ctx context.Context, o options, dialect store.Dialect, s *shop, p *progress) (*store.Store, func() error, error) {
	if o.dsn != "" {
		db, err := open(ctx, o.dsn, s, p)
		if err != nil {
			return nil, nil, err
		}
		return db, db.Close, nil
	}
	var d databases
	var err error
	if o.keep != "" {
		// PostgreSQL may run as another user, who goes through it.
		if err := os.MkdirAll(o.keep, 0o711); err != nil {
			return nil, nil, err
		}
	}
	if dialect == store.SQLite {
		d, err = newSQLiteFiles(o.keep)
	} else {
		var dir string
		if o.keep != "" {
			if dir, err = filepath.Abs(filepath.Join(o.keep, "postgres")); err != nil {
				return nil, nil, err
			}
		}
		d, err = startServer(ctx, dir)
	}
	if err != nil {
		return nil, nil, err
	}
	db, err := loaded(ctx, d, s, o.keep != "", p)
	if err != nil {
		return nil, nil, errors.Join(err, d.close())
	}
	return db, func() error { return errors.Join(db.Close(), d.close()) }, nil
}

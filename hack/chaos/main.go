// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Command chaos plays rounds of runs in which everything fails that can be made to fail, and counts what became
// of each message:
//
//	go run ./hack/chaos -rounds 100 -seed 1
//
// A round has a shop of its own, in a namespace and a store of its own, on SQLite and PostgreSQL in turn. Managers
// are processes as in production, the API server and PostgreSQL are real, and the doubles of the providers are a
// process that nothing is done to: what they took is what customers would have got. Chance, by the round's seed,
// chooses what fails and when. When all is mended and it has become quiet, each message must have one end, which
// agrees with what its provider took, nobody may be left out, and no provider may have taken a message twice.
// It ends with 1 where that does not hold.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/go-logr/logr"
	ctrl "sigs.k8s.io/controller-runtime"
)

type options struct {
	rounds, lanes, customers int
	seed                     uint64
	stores, only             string
	dir, output, binary      string
	during                   time.Duration
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 10, "how many rounds")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().Unix()), "of the first round; the next one has the next")
	flag.IntVar(&o.lanes, "lanes", 2, "how many rounds are played at once, each lane with servers of its own")
	flag.IntVar(&o.customers, "customers", 300, "customers of a round")
	flag.StringVar(&o.stores, "stores", "sqlite,postgres", "which stores, in turn")
	flag.StringVar(&o.only, "faults", "", "only these faults, with commas between them (default: any)")
	flag.DurationVar(&o.during, "during", 20*time.Second, "how long things fail in a round")
	flag.StringVar(&o.dir, "dir", "", "where logs go (default: a temporary directory; what a round without a finding leaves is removed)")
	flag.StringVar(&o.binary, "kaeru", "", "the kaeru that is played with (default: one that is built from here)")
	flag.StringVar(&o.output, "o", "table", "table or json")
	flag.Parse()
	ctrl.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	right, err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
	}
	if err != nil || !right {
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (right bool, err error) {
	if err := o.check(); err != nil {
		return false, err
	}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "kaeru-chaos-"); err != nil {
			return false, fmt.Errorf("make a directory for logs: %w", err)
		}
	} else if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return false, fmt.Errorf("make a directory for logs: %w", err)
	}
	fmt.Fprintf(os.Stderr, "chaos: seeds %d to %d, logs in %s\n", o.seed, o.seed+uint64(o.rounds)-1, o.dir)
	binary := o.binary
	if binary == "" {
		binary = filepath.Join(o.dir, "kaeru")
		if err := build(ctx, binary); err != nil {
			return false, err
		}
	}
	results := play(ctx, o, binary)
	right = len(results) == o.rounds
	for _, r := range results {
		right = right && len(r.Findings) == 0
	}
	if o.output == "json" {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		return right, enc.Encode(results)
	}
	return right, printTable(os.Stdout, results)
}

func build(ctx context.Context, binary string) error {
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/kaeru").CombinedOutput(); err != nil {
		return fmt.Errorf("build kaeru: %w\n%s", err, out)
	}
	return nil
}

func (o *options) check() error {
	for _, s := range strings.Split(o.stores, ",") {
		if s != "sqlite" && s != "postgres" {
			return fmt.Errorf("-stores %q: write sqlite, postgres or sqlite,postgres", o.stores)
		}
	}
	if o.output != "table" && o.output != "json" {
		return fmt.Errorf("-o %q: write table or json", o.output)
	}
	if o.rounds < 1 || o.lanes < 1 || o.customers < 1 {
		return errors.New("-rounds, -lanes and -customers are 1 or more")
	}
	for _, name := range strings.Split(o.only, ",") {
		if _, known := faults[name]; name != "" && !known {
			return fmt.Errorf("-faults: there is no fault %q: there are %s", name, strings.Join(faultNames(), ", "))
		}
	}
	return nil
}

// play plays the rounds in lanes, and gives them in the order of their seeds.
func play(ctx context.Context, o options, binary string) []*result {
	seeds := make(chan int)
	var mu sync.Mutex
	var results []*result
	var lanes sync.WaitGroup
	for n := range min(o.lanes, o.rounds) {
		lanes.Go(func() {
			l := &lane{options: o, binary: binary, name: fmt.Sprintf("lane-%d", n)}
			defer l.close()
			for i := range seeds {
				r := l.play(ctx, i)
				mu.Lock()
				results = append(results, r)
				fmt.Fprintf(os.Stderr, "%s  %3d of %d  %s\n", time.Now().UTC().Format("15:04:05"), len(results), o.rounds, r.line())
				mu.Unlock()
			}
		})
	}
	for i := range o.rounds {
		select {
		case seeds <- i:
		case <-ctx.Done():
		}
	}
	close(seeds)
	lanes.Wait()
	sort.Slice(results, func(i, j int) bool { return results[i].Seed < results[j].Seed })
	return results
}

// printTable sums up by store and by fault.
func printTable(to io.Writer, results []*result) error {
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ROUNDS\tOF\tMESSAGES\tSENT\tFAILED\tSKIPPED\tCANCELLED\tUNKNOWN\tTAKEN\t409\tTWICE\tFINDINGS")
	groups, order := map[string][]*result{}, []string{}
	add := func(name string, r *result) {
		if groups[name] == nil {
			order = append(order, name)
		}
		groups[name] = append(groups[name], r)
	}
	for _, r := range results {
		add("store "+r.Store, r)
	}
	sort.Strings(order)
	stores := len(order)
	for _, r := range results {
		for _, f := range r.Faults {
			add(f, r)
		}
	}
	sort.Strings(order[stores:])
	for _, name := range order {
		var sum result
		sum.Ends = map[string]int{}
		for _, r := range groups[name] {
			for end, n := range r.Ends {
				sum.Ends[end] += n
			}
			sum.Messages += r.Messages
			sum.Taken += r.Taken
			sum.Repeats += r.Repeats
			sum.Twice += r.Twice
			sum.Findings = append(sum.Findings, r.Findings...)
		}
		fmt.Fprintf(w, "%d\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", len(groups[name]), name, sum.Messages, sum.Ends["sent"], sum.Ends["failed"],
			sum.Ends["skipped"], sum.Ends["cancelled"], sum.Ends["unknown"], sum.Taken, sum.Repeats, sum.Twice, len(sum.Findings))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		for _, f := range r.Findings {
			fmt.Fprintf(to, "seed %d (%s): %s\n", r.Seed, r.Store, f)
		}
	}
	return nil
}

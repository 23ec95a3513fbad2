// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// result is what became of one round.
type result struct {
	Seed     uint64         `json:"seed"`
	Store    string         `json:"store"`
	Managers int            `json:"managers"`
	Faults   []string       `json:"faults"`
	Starts   int64          `json:"starts"` // of managers
	Messages int            `json:"messages"`
	Ends     map[string]int `json:"ends"`
	// Taken is what providers took, Twice what one took a second time, and Repeats how often LINE said that it had
	// a message already.
	Taken    int      `json:"taken"`
	Twice    int      `json:"twice"`
	Repeats  int64    `json:"repeats"`
	Seconds  int      `json:"seconds"`
	Findings []string `json:"findings"`
}

func (r *result) line() string {
	text := fmt.Sprintf("seed %d %-8s %3ds %d managers, %d starts, %d messages, sent %d unknown %d cancelled %d, 409 %d; %s", r.Seed, r.Store, r.Seconds, r.Managers,
		r.Starts, r.Messages, r.Ends["sent"], r.Ends["unknown"], r.Ends["cancelled"], r.Repeats, strings.Join(r.Faults, " "))
	for _, f := range r.Findings {
		text += "\n          " + f
	}
	return text
}

// round is a shop in which things fail.
type round struct {
	*result
	lane          *lane
	ns, dsn, dir  string
	disk          string // what the store's disk is mounted at, where it is to become full
	slot          time.Time
	text, touched string
	doubles       *doubles
	managers      []*manager
	servers       sync.Mutex // who stops or promotes a PostgreSQL
	mu            sync.Mutex
}

// healIn is how long it may take until everything is quiet: a lease runs out in half a minute, and a mail that was
// greylisted waits for five minutes and a quarter more.
const healIn = 8 * time.Minute

func (l *lane) play(ctx context.Context, i int) *result {
	stores := strings.Split(l.stores, ",")
	seed := l.seed + uint64(i)
	chance := rand.New(rand.NewPCG(seed, 1))
	r := &round{lane: l, text: "edition 1", touched: "0", result: &result{Seed: seed, Store: stores[seed%uint64(len(stores))], Ends: map[string]int{}}}
	var only []string
	if l.only != "" {
		only = strings.Split(l.only, ",")
	}
	r.Faults = choose([]string{r.Store}, only, chance)
	r.Managers = 1
	if slices.Contains(r.Faults, "two-leaders") {
		r.Managers = 2
	}
	began := time.Now()
	if err := r.play(ctx, chance); err != nil {
		r.find("the round could not be played: %v", err)
	}
	r.Seconds = int(time.Since(began).Seconds())
	if len(r.Findings) == 0 {
		_ = os.RemoveAll(r.dir)
	}
	return r.result
}

func (r *round) find(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Findings = append(r.Findings, fmt.Sprintf(format, args...))
}

func (r *round) play(ctx context.Context, chance *rand.Rand) (err error) {
	if err := r.lane.start(ctx, r.Store); err != nil {
		return err
	}
	r.dir = filepath.Join(r.lane.dir, fmt.Sprintf("seed-%d", r.Seed))
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return err
	}
	where := r.dir
	if slices.Contains(r.Faults, "disk-full") {
		if err := r.mountDisk(ctx); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, exec.Command("umount", r.disk).Run()) }()
		where = r.disk
	}
	dsn, drop, err := r.lane.database(ctx, r.Store, where, slices.Contains(r.Faults, "fail-over"))
	if drop != nil {
		defer drop()
	}
	if err != nil {
		return err
	}
	r.dsn = dsn
	if r.doubles, err = startDoubles(ctx, r.lane.binary, r.dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.doubles.stop()) }()
	if err := r.begin(ctx); err != nil {
		return errors.Join(err, r.end())
	}
	if err := r.fail(ctx, chance); err != nil {
		return errors.Join(err, r.end())
	}
	err = r.heal(ctx)
	return errors.Join(err, r.end(), r.check(ctx))
}

func (r *round) mountDisk(ctx context.Context) error {
	r.disk = filepath.Join(r.dir, "disk")
	if err := os.Mkdir(r.disk, 0o755); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, "mount", "-t", "tmpfs", "-o", "size="+diskSize, "kaeru-chaos", r.disk).CombinedOutput(); err != nil {
		return fmt.Errorf("mount a small disk: %w: %s", err, out)
	}
	return nil
}

// begin brings up the shop, and waits until it is ready for what comes.
func (r *round) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	r.ns = fmt.Sprintf("chaos-%d-%s", r.Seed, unique())
	if err := r.kubectl(ctx, "", "create", "namespace", r.ns); err != nil {
		return err
	}
	if err := r.importCustomers(ctx); err != nil {
		return err
	}
	for n := range r.Managers {
		gateway, err := freeAddress()
		if err != nil {
			return err
		}
		m := &manager{
			binary: r.lane.binary, log: filepath.Join(r.dir, fmt.Sprintf("manager-%d.log", n)), env: []string{"KUBECONFIG=" + r.lane.cluster.Kubeconfig},
			args: []string{"manager", "--store", r.dsn, "--gateway-address", gateway, "--public-url", "http://" + gateway,
				"--metrics-address", "0", "--health-address", "0", "--log-format", "console"},
		}
		m.start()
		r.managers = append(r.managers, m)
	}
	if err := r.apply(ctx, secrets+channels+cart); err != nil {
		return err
	}
	if err := r.kubectl(ctx, "", "wait", "--for=condition=Ready", "--timeout=60s", "scenario/cart", "segment/everybody", "channelconfig/line-main", "channelconfig/email-main", "channelconfig/sms-main"); err != nil {
		return err
	}
	r.slot = time.Now().Add(5 * time.Second).Truncate(time.Second)
	if err := r.apply(ctx, sale); err != nil {
		return err
	}
	return r.kubectl(ctx, "", "wait", "--for=condition=Ready", "--timeout=60s", "scenario/sale")
}

// fail plays the faults beside what the shop does.
func (r *round) fail(ctx context.Context, chance *rand.Rand) error {
	limit, cancel := context.WithTimeout(ctx, r.lane.during+time.Minute)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() {
		within, cancel := context.WithTimeout(ctx, healIn)
		defer cancel()
		if err := r.importEvents(within); err != nil {
			r.find("events could not be imported: %v", err)
		}
	})
	for _, name := range r.Faults {
		own := rand.New(rand.NewPCG(chance.Uint64(), 2))
		all.Go(func() {
			if err := faults[name].play(limit, r, own); err != nil {
				r.find("%s: %v", name, err)
			}
		})
	}
	sleep(limit, r.lane.during, r.lane.during, chance)
	all.Wait()
	return ctx.Err()
}

// heal mends what is broken and waits until there is nothing left to do.
func (r *round) heal(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, healIn)
	defer cancel()
	if err := r.doubles.client.ClearFaults(ctx); err != nil {
		return err
	}
	r.doubles.http.set(wirePasses)
	r.doubles.smtp.set(wirePasses)
	r.touched = "1"
	if err := r.apply(ctx, secrets); err != nil {
		return err
	}
	if slices.Contains(r.Faults, "clock") {
		// Later than any clock was, so that nothing has to be waited for.
		for _, m := range r.managers {
			m.offset.Store(int64(3 * time.Hour))
			m.signal(syscall.SIGTERM)
		}
	}
	return r.quiet(ctx)
}

// open are what keeps a round from being over, by name.
var open = map[string]string{
	"messages":   `SELECT COUNT(*) FROM messages WHERE ns = $1 AND state IN ('planned', 'sending')`,
	"runs":       `SELECT COUNT(*) FROM runs WHERE ns = $1 AND state NOT IN ('complete', 'cancelled')`,
	"enrolments": `SELECT COUNT(*) FROM enrolments WHERE ns = $1 AND state = 'active'`,
	"arrivals":   `SELECT COUNT(*) FROM arrivals WHERE ns = $1`,
	"slots":      `SELECT CASE WHEN EXISTS (SELECT 1 FROM slots WHERE ns = $1) THEN 0 ELSE 1 END`,
}

func (r *round) quiet(ctx context.Context) error {
	var left []string
	for still := 0; still < 3; {
		left = nil
		err := r.read(ctx, func(st *store.Store) error {
			for what, query := range open {
				var n int
				if err := st.QueryRow(ctx, query, r.ns).Scan(&n); err != nil {
					return err
				}
				if n > 0 {
					left = append(left, fmt.Sprintf("%d %s", n, what))
				}
			}
			return nil
		})
		if still++; err != nil || len(left) > 0 {
			still = 0
		}
		select {
		case <-ctx.Done():
			slices.Sort(left)
			r.find("it does not become quiet: %s are open (%v)", strings.Join(left, ", "), err)
			for _, m := range r.managers {
				m.signal(syscall.SIGQUIT) // its log then says what it was doing
			}
			time.Sleep(time.Second)
			return nil
		case <-time.After(time.Second):
		}
	}
	return nil
}

func (r *round) read(ctx context.Context, f func(*store.Store) error) error {
	st, err := store.Open(ctx, r.dsn)
	if err != nil {
		return err
	}
	return errors.Join(f(st), st.Close())
}

// end ends the managers.
func (r *round) end() (err error) {
	for _, m := range r.managers {
		err = errors.Join(err, m.stop())
		r.Starts += m.starts.Load()
	}
	return err
}

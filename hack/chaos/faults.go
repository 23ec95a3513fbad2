// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"syscall"
	"time"
)

// fault is something that goes wrong in a round.
type fault struct {
	// store is the only one where it can happen; empty for both.
	store string
	// root says that only root can do it.
	root bool
	// unknown says that mails and texts may end unknown because of it. A push never may: LINE knows its key.
	unknown bool
	// cancels says that messages may be cancelled, and nobody is owed what was.
	cancels bool
	play    func(ctx context.Context, r *round, chance *rand.Rand) error
}

var faults = map[string]fault{
	"kill":             {unknown: true, play: killed},
	"restart":          {play: restarted},
	"freeze":           {unknown: true, play: frozen},
	"two-leaders":      {store: "postgres", play: nothing},
	"postgres-restart": {store: "postgres", unknown: true, play: postgresRestarted},
	"fail-over":        {store: "postgres", unknown: true, play: failedOver},
	"api-server":       {play: apiServerAway},
	"clock":            {play: clockJumps},
	"hang":             {unknown: true, play: overWires(wireHangs)},
	"half-close":       {unknown: true, play: overWires(wireHalfCloses)},
	"slow":             {unknown: true, play: overWires(wireIsSlow)},
	"cut":              {unknown: true, play: overWires(wireCuts)},
	"errors":           {unknown: true, play: providerErrors},
	"credentials":      {unknown: true, play: credentialsRefused},
	"edit":             {play: edited},
	"replace":          {cancels: true, play: replaced},
	"delete":           {cancels: true, play: deleted},
	"disk-full":        {store: "sqlite", root: true, unknown: true, play: diskFull},
}

func faultNames() []string {
	var names []string
	for name := range faults {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// choose takes one to four faults that can happen on a store.
func choose(store, only []string, chance *rand.Rand) []string {
	var can []string
	for _, name := range faultNames() {
		f := faults[name]
		if (f.store == "" || slices.Contains(store, f.store)) && (!f.root || os.Geteuid() == 0) && (len(only) == 0 || slices.Contains(only, name)) {
			can = append(can, name)
		}
	}
	chance.Shuffle(len(can), func(i, j int) { can[i], can[j] = can[j], can[i] })
	chosen := can[:min(len(can), 1+chance.IntN(4))]
	sort.Strings(chosen)
	return chosen
}

// sleep waits for a random time up to most, or ends with ctx.
func sleep(ctx context.Context, least, most time.Duration, chance *rand.Rand) {
	select {
	case <-ctx.Done():
	case <-time.After(least + time.Duration(chance.Int64N(int64(most-least)+1))):
	}
}

func nothing(context.Context, *round, *rand.Rand) error { return nil }

func (r *round) any(chance *rand.Rand) *manager { return r.managers[chance.IntN(len(r.managers))] }

func killed(ctx context.Context, r *round, chance *rand.Rand) error {
	for range 1 + chance.IntN(3) {
		sleep(ctx, 0, r.lane.during/2, chance)
		r.any(chance).signal(syscall.SIGKILL)
	}
	return nil
}

func restarted(ctx context.Context, r *round, chance *rand.Rand) error {
	sleep(ctx, 0, r.lane.during, chance)
	r.any(chance).signal(syscall.SIGTERM)
	return nil
}

// frozen stops a process for longer than its leases hold, and lets it go on.
func frozen(ctx context.Context, r *round, chance *rand.Rand) error {
	sleep(ctx, 0, r.lane.during/2, chance)
	m := r.any(chance)
	m.signal(syscall.SIGSTOP)
	sleep(ctx, 31*time.Second, 38*time.Second, chance)
	m.signal(syscall.SIGCONT)
	return nil
}

func postgresRestarted(ctx context.Context, r *round, chance *rand.Rand) error {
	sleep(ctx, 0, r.lane.during, chance)
	r.servers.Lock()
	defer r.servers.Unlock()
	if err := r.lane.primary.Crash(); err != nil {
		return err
	}
	sleep(ctx, 0, 6*time.Second, chance)
	return r.lane.primary.Start(context.WithoutCancel(ctx))
}

func failedOver(ctx context.Context, r *round, chance *rand.Rand) error {
	sleep(ctx, 0, r.lane.during, chance)
	r.servers.Lock()
	defer r.servers.Unlock()
	return r.lane.failOver(context.WithoutCancel(ctx))
}

func apiServerAway(ctx context.Context, r *round, chance *rand.Rand) error {
	sleep(ctx, 0, r.lane.during/2, chance)
	if err := r.lane.cluster.StopAPIServer(); err != nil {
		return err
	}
	sleep(ctx, 5*time.Second, r.lane.during, chance)
	return r.lane.cluster.StartAPIServer(context.WithoutCancel(ctx))
}

// clockJumps gives managers another business time, each its own.
func clockJumps(ctx context.Context, r *round, chance *rand.Rand) error {
	for range 1 + chance.IntN(3) {
		sleep(ctx, 0, r.lane.during/2, chance)
		m := r.any(chance)
		m.offset.Store(int64([]time.Duration{-2 * time.Hour, 2 * time.Hour, 0}[chance.IntN(3)]))
		m.signal(syscall.SIGTERM)
	}
	return nil
}

func overWires(mode int32) func(context.Context, *round, *rand.Rand) error {
	return func(ctx context.Context, r *round, chance *rand.Rand) error {
		sleep(ctx, 0, r.lane.during/2, chance)
		which := chance.IntN(3)
		if which != 0 {
			r.doubles.http.set(mode)
		}
		if which != 1 {
			r.doubles.smtp.set(mode)
		}
		sleep(ctx, 3*time.Second, r.lane.during, chance)
		return nil // mended with all else
	}
}

// errorsOf are what providers answer that is about one message, and not about the account or the template.
var errorsOf = []string{
	"line-timeout", "line-reset", "line-500", "line-409", "line-429-rate", "line-429-concurrent", "line-400-user",
	"twilio-429", "twilio-timeout", "twilio-lost", "twilio-500", "twilio-503-html", "twilio-21610", "twilio-21611", "twilio-30005",
	"smtp-421", "smtp-450", "smtp-greylist", "smtp-rate", "smtp-full", "smtp-drop-connect", "smtp-drop-before-dot", "smtp-drop-after-dot", "smtp-511",
}

// providerErrors lets a fifth of all requests go wrong, in every way.
func providerErrors(ctx context.Context, r *round, chance *rand.Rand) error {
	each := map[byte]int{}
	for _, name := range errorsOf {
		each[name[0]]++
	}
	for _, name := range errorsOf {
		if _, err := r.doubles.client.AddPreset(ctx, fmt.Sprintf("%s:probability=%.4f", name, 0.2/float64(each[name[0]]))); err != nil {
			return err
		}
	}
	return nil
}

// credentialsRefused makes a provider refuse the account, until its Secret is written anew.
func credentialsRefused(ctx context.Context, r *round, chance *rand.Rand) error {
	sleep(ctx, 0, r.lane.during, chance)
	_, err := r.doubles.client.AddPreset(ctx, []string{"line-401", "twilio-401", "smtp-535"}[chance.IntN(3)])
	return err
}

func edited(ctx context.Context, r *round, chance *rand.Rand) error {
	for n := range 1 + chance.IntN(3) {
		sleep(ctx, 0, r.lane.during/2, chance)
		text := fmt.Sprintf("edition %d", n+2)
		patch := fmt.Sprintf(`[{"op":"replace","path":"/spec/steps/1/line/messages/0/text","value":"chaos sale push {{ customer.id }} (%s)"},`+
			`{"op":"replace","path":"/spec/steps/0/email/text","value":"chaos sale mail {{ customer.id }} (%s)"}]`, text, text)
		if err := r.kubectl(ctx, "", "patch", "scenario", "sale", "--type=json", "-p", patch); err != nil {
			return err
		}
	}
	return nil
}

// replaced deletes a Scenario and creates it again at once: the same name, another UID.
func replaced(ctx context.Context, r *round, chance *rand.Rand) error {
	sleep(ctx, 0, r.lane.during, chance)
	name := []string{"sale", "cart"}[chance.IntN(2)]
	if err := r.kubectl(ctx, "", "delete", "--ignore-not-found", "scenario", name); err != nil {
		return err
	}
	return r.apply(ctx, map[string]string{"sale": sale, "cart": cart}[name])
}

func deleted(ctx context.Context, r *round, chance *rand.Rand) error {
	sleep(ctx, 0, r.lane.during/2, chance)
	name := []string{"sale", "cart"}[chance.IntN(2)]
	if err := r.kubectl(ctx, "", "delete", "--ignore-not-found", "scenario", name); err != nil {
		return err
	}
	sleep(ctx, time.Second, r.lane.during/2, chance)
	return r.apply(ctx, map[string]string{"sale": sale, "cart": cart}[name])
}

// diskSize is how much room the store has where a disk becomes full.
const diskSize = "64m"

// diskFull fills what is left of the store's disk for a while.
func diskFull(ctx context.Context, r *round, chance *rand.Rand) error {
	for range 1 + chance.IntN(2) {
		sleep(ctx, 0, r.lane.during/2, chance)
		ballast := filepath.Join(r.disk, "ballast")
		if err := fillDisk(ballast); err != nil {
			return err
		}
		sleep(ctx, time.Second, 10*time.Second, chance)
		if err := os.Remove(ballast); err != nil {
			return err
		}
	}
	return nil
}

func fillDisk(file string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	block := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

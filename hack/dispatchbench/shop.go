// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-logr/logr/funcr"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/schedule"
	"github.com/kaeru-dev/kaeru/internal/store"
)

const (
	namespace = "shop"
	scenario  = "bench"
	segment   = "everybody"
	pushText  = ", the autumn teas are here. Have a look: they go fast every year."
	// shardSize is small enough that four workers share 10,000 messages.
	shardSize = 500
)

var (
	bench     = dispatch.Ref{Namespace: namespace, Name: scenario}
	publicURL = url.URL{Scheme: "https", Host: "links.shop.example"}
	signKey   = []byte("0123456789abcdef0123456789abcdef")
)

func customerID(i int) string { return fmt.Sprintf("c%07d", i) }
func lineUserID(i int) string { return fmt.Sprintf("U%032x", i) }

// body is a page of 10 KB with five links, whose holes are for the customer.
var body = func() string {
	var b strings.Builder
	b.WriteString("<html><body><h1>Hello NAME,</h1>\r\n")
	for i := range 5 {
		fmt.Fprintf(&b, "<p>Dear NAME, you have POINTS points. <a href=\"https://shop.example/autumn/%d\">Have a look</a></p>\r\n", i)
	}
	for b.Len() < 10_000 {
		b.WriteString("<p style=\"font-size:14px;color:#333333\">Autumn has come to the tea fields, and the first leaves are dry.</p>\r\n")
	}
	b.WriteString("<p><a href=\"UNSUBSCRIBE\">Unsubscribe</a></p></body></html>")
	return b.String()
}()

// personal is the page for one customer, without a template.
func personal(i int) string {
	return strings.NewReplacer("NAME", customerID(i), "POINTS", "5", "UNSUBSCRIBE", "https://links.shop.example/u/"+customerID(i)).Replace(body)
}

// steps are those of a Scenario that sends one message, by mail or by LINE.
func steps(kind string) string {
	if kind == "line" {
		return `[{"name": "a", "line": {"channel": "line", "messages": [{"type": "text", "text": ` + encoded("Hello {{ customer.id }}"+pushText) + `}]}}]`
	}
	page := strings.NewReplacer("NAME", "{{ customer.id }}", "POINTS", "{{ customer.points }}", "UNSUBSCRIBE", "{{ links.unsubscribe }}").Replace(body)
	return `[{"name": "a", "email": {"channel": "email", "subject": "Hello {{ customer.id }}", "html": ` + encoded(page) + `}}]`
}

// shop is a store with an engine that sends nothing itself.
type shop struct {
	st       *store.Store
	compiler *content.Compiler
}

func openShop(ctx context.Context, dsn string) (*shop, error) {
	st, err := store.Open(ctx, dsn)
	if err != nil {
		return nil, err
	}
	if err := st.Migrate(ctx); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return &shop{st: st, compiler: content.NewCompiler(content.Options{})}, nil
}

func (s *shop) close() error { return errors.Join(s.st.Close(), s.compiler.Close()) }

func newEngine(st *store.Store, compiler *content.Compiler, channels *dispatch.Channels, shards int) (*dispatch.Engine, error) {
	signer, err := content.NewSigner(publicURL.String(), signKey)
	if err != nil {
		return nil, err
	}
	return dispatch.NewEngine(dispatch.Options{
		Store: st, Clock: clock.Real(), Compiler: compiler, Signer: signer, OneClick: true, Channels: channels, Shards: shards, Log: funcr.New(logged, funcr.Options{}),
	}), nil
}

// customers makes n of them, who consent to all and are members of the segment, in the place of those before.
func (s *shop) customers(ctx context.Context, n int) error {
	d := s.st.Dialect()
	empty := `DELETE FROM `
	if d == store.Postgres {
		empty = `TRUNCATE `
	}
	for _, table := range []string{"messages", "shards", "runs", "slots", "enrolments", "memberships", "consents", "customers"} {
		if _, err := s.st.Exec(ctx, empty+table); err != nil {
			return fmt.Errorf("empty %s: %w", table, err)
		}
	}
	const batch = 10_000
	for from := 1; from <= n; from += batch {
		var ids []string
		for i := from; i < min(from+batch, n+1); i++ {
			ids = append(ids, customerID(i))
		}
		list := store.List(d, ids)
		line := `'U' || printf('%032x', CAST(substr(value, 2) AS INTEGER))`
		if d == store.Postgres {
			line = `'U' || lpad(to_hex(CAST(substr(value, 2) AS BIGINT)), 32, '0')`
		}
		for _, query := range []string{
			`INSERT INTO customers (ns, id, email, line_user_id, attributes, created_at, updated_at) SELECT 'shop', value, value || '@customer.example', ` + line + `, '{"points": 5}', 0, 0 FROM ` + d.Unnest(1) + ` u`,
			`INSERT INTO consents (ns, customer_id, channel, state, source, changed_at) SELECT 'shop', value, 'email', 'granted', 'bench', 0 FROM ` + d.Unnest(1) + ` u`,
			`INSERT INTO consents (ns, customer_id, channel, state, source, changed_at) SELECT 'shop', value, 'line', 'granted', 'bench', 0 FROM ` + d.Unnest(1) + ` u`,
			`INSERT INTO memberships (ns, segment, customer_id, entered_at) SELECT 'shop', 'everybody', value, 0 FROM ` + d.Unnest(1) + ` u`,
		} {
			if _, err := s.st.Exec(ctx, query, list); err != nil {
				return fmt.Errorf("make customers: %w", err)
			}
		}
	}
	if d == store.Postgres {
		// As autovacuum would have done before anything of that size is sent.
		if _, err := s.st.Exec(ctx, `VACUUM ANALYZE`); err != nil {
			return fmt.Errorf("vacuum: %w", err)
		}
	}
	return nil
}

func (s *shop) armed(ctx context.Context, kind string) (dispatch.Armed, error) {
	b := journey.Bundle{Shop: journey.Shop{TimeZone: "Asia/Tokyo", LowStock: "3"}}
	if err := json.Unmarshal([]byte(steps(kind)), &b.Spec.Steps); err != nil {
		return dispatch.Armed{}, err
	}
	b.Spec.Trigger.Schedule = &crm.ScheduleTrigger{Cron: "0 10 1 1 *"}
	b.Spec.Dispatch = &crm.Dispatch{ShardSize: shardSize, Parallelism: 16}
	compiled, err := dispatch.Compile(ctx, s.compiler, b)
	if err != nil {
		return dispatch.Armed{}, err
	}
	revision, text, err := b.Revision()
	return dispatch.Armed{Ref: bench, Revision: revision, Bundle: text, Compiled: compiled, Segment: segment}, err
}

// planned fires a run and plans it. Its shards are held until it is opened, by the function that it gives.
func (s *shop) planned(ctx context.Context, kind string) (open func() error, err error) {
	a, err := s.armed(ctx, kind)
	if err != nil {
		return nil, err
	}
	engine, err := newEngine(s.st, s.compiler, dispatch.NewChannels(nil), 0)
	if err != nil {
		return nil, err
	}
	if err := engine.Arm(ctx, a); err != nil {
		return nil, err
	}
	now := time.Now()
	slot := schedule.Slot{Key: now.Format(time.RFC3339Nano), Time: now}
	if fired, err := engine.Fire(ctx, a, slot); err != nil || !fired {
		return nil, errors.Join(err, errors.New("the slot did not fire"))
	}
	within, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- engine.Run(within) }()
	err = wait(ctx, func() (bool, error) {
		var n int
		err := s.st.QueryRow(ctx, `SELECT COUNT(*) FROM runs WHERE state = 'planned'`).Scan(&n)
		return n == 1, err
	})
	stop()
	err = errors.Join(err, <-done)
	return func() error { return engine.Open(ctx, bench, dispatch.RunName(scenario, slot)) }, err
}

// wait asks until something is so.
func wait(ctx context.Context, so func() (bool, error)) error {
	for deadline := time.Now().Add(timeout); ; {
		if is, err := so(); err != nil || is {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("nothing happened for %s", timeout)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/testenv"
)

// A table that was filled a moment ago gets statistics, and is then left alone.
func TestStatisticsOfWhatHasGrown(t *testing.T) {
	ctx := t.Context()
	s, err := Open(ctx, testenv.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if err := s.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	var customers []Customer
	for i := range 2 * fewRows {
		customers = append(customers, Customer{ID: fmt.Sprint("c", i)})
	}
	err = s.Tx(ctx, func(tx *Tx) error {
		_, err := tx.UpsertCustomers(ctx, "shop", customers, time.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	analysed := func() (n int) {
		t.Helper()
		if err := s.QueryRow(ctx, `SELECT COALESCE(SUM(analyze_count), 0) FROM pg_stat_user_tables WHERE relname = 'customers'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	deadline := time.Now().Add(20 * time.Second)
	for analysed() == 0 { // what a table has seen is told after a second or so
		if err := s.refreshStatistics(ctx); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("the table was not looked at")
		}
		time.Sleep(100 * time.Millisecond)
	}
	before := analysed()
	for range 5 {
		if err := s.refreshStatistics(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if n := analysed(); n > before+1 {
		t.Errorf("it was looked at %d times", n)
	}
}

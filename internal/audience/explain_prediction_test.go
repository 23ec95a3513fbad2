// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// TestExplainedPrediction reads what a condition on the next purchase is about.
func TestExplainedPrediction(t *testing.T) {
	db, err := store.Open(t.Context(), "sqlite://"+filepath.Join(t.TempDir(), "kaeru.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 7, 1, 9, 0, 0, 0, time.UTC)
	err = db.Tx(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.UpsertCustomers(t.Context(), "shop", []store.Customer{{ID: "hanako"}}, now); err != nil {
			return err
		}
		_, err := tx.Exec(t.Context(),
			`INSERT INTO replenishments (ns, scope, id, customer_id, purchases, last_at, log_sum, missed, due_at, confidence) VALUES
				('shop', 'any', '', 'hanako', 2, 0, 0, 0, 1782896400000, 0.25), ('shop', 'product', 'p1', 'hanako', 2, 0, 0, 0, NULL, NULL),
				('shop', 'category', 'tea', 'hanako', 2, 0, 0, 0, 1782982800000, NULL), ('shop', 'category', 'tea', 'taro', 2, 0, 0, 0, 0, 1), ('other', 'product', 'p2', 'hanako', 2, 0, 0, 0, 0, 1)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		condition v1alpha1.ReplenishmentCondition
		want      string
	}{
		"of anything":             {v1alpha1.ReplenishmentCondition{}, "due 2026-07-01 09:00:00 UTC, confidence 0.25"},
		"of a category":           {v1alpha1.ReplenishmentCondition{Category: "tea"}, "due 2026-07-02 09:00:00 UTC"},
		"a product without a day": {v1alpha1.ReplenishmentCondition{Product: "p1"}, "no prediction"},
		"of another shop":         {v1alpha1.ReplenishmentCondition{Product: "p2"}, "no prediction"},
	} {
		err := db.ReadTx(t.Context(), func(tx *store.Tx) error {
			e := &explainer{tx: tx, customer: "hanako", now: now, env: Env{Namespace: "shop", Dialect: tx.Dialect()}}
			s := &statement{env: e.env, bound: make(map[any]int), each: true}
			s.text("shop")
			shown := e.replenishment(s, &c.condition)
			query := "SELECT " + shown.columns[0] + ", " + shown.columns[1] + " FROM " + e.from(s)
			if err := tx.QueryRow(t.Context(), query, valuesOf(s.args, now, nil)...).Scan(shown.into...); err != nil {
				return err
			}
			v, err := shown.value(t.Context())
			if err == nil && v.String() != c.want {
				err = fmt.Errorf("%s, want %s", v, c.want)
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"slices"
	"testing"

	"github.com/kaeru-dev/kaeru/internal/store"
)

func TestDialectJSON(t *testing.T) {
	const document = `{"text":"tea","number":1.10,"big":12345678901234567890,"numeric":"1e2","almost":"12abc","zero":"007","huge":"1e999",` +
		`"yes":true,"no":false,"null":null,"$odd [0].key":"odd","名前":"蛙","empty":""}`
	type want struct {
		text   string
		number float64
		absent bool // as a text
	}
	tests := map[string]want{
		"text": {text: "tea"}, "number": {text: "1.10", number: 1.1}, "big": {text: "12345678901234567890", number: 12345678901234567890},
		"numeric": {text: "1e2", number: 100}, "almost": {text: "12abc"}, "zero": {text: "007"}, "yes": {text: "true"}, "no": {text: "false"},
		"null": {absent: true}, "missing": {absent: true}, "$odd [0].key": {text: "odd"}, "名前": {text: "蛙"}, "empty": {text: ""},
	}
	stores(t, func(t *testing.T, s *store.Store) {
		ctx, d := t.Context(), s.Dialect()
		_, err := s.Exec(ctx, `INSERT INTO customers (ns, id, attributes, created_at, updated_at) VALUES ('shop', 'c', `+d.JSONParam(1)+`, 0, 0)`, document)
		must(t, err)
		for key, want := range tests {
			var text *string
			var number *float64
			must(t, s.QueryRow(ctx, `SELECT `+d.JSONText("attributes", 1)+`, `+d.JSONNumber("attributes", 1)+` FROM customers`, d.JSONKey(key)).Scan(&text, &number))
			if want.absent != (text == nil) || text != nil && *text != want.text {
				t.Errorf("%s as a text is %v, want %+v", key, text, want)
			}
			if (want.number == 0) != (number == nil) || number != nil && *number != want.number {
				t.Errorf("%s as a number is %v, want %+v", key, number, want)
			}
		}
		var n int
		must(t, s.QueryRow(ctx, `SELECT count(*) FROM customers WHERE `+d.JSONNumber("attributes", 1)+` >= $2`, d.JSONKey("number"), 1.1).Scan(&n))
		if n != 1 {
			t.Error("1.10 is not at least 1.1")
		}
		must(t, s.QueryRow(ctx, `SELECT count(*) FROM customers WHERE `+d.JSONNumber("attributes", 1)+` > 0`, d.JSONKey("huge")).Scan(&n))
	})
}

func TestDialectLists(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx, d := t.Context(), s.Dialect()
		const shard = "0190b9d2-5d2c-7c3e-9a1b-0123456789ab"
		_, err := s.Exec(ctx, `INSERT INTO shards (id, ns, scenario, run, idx, size, state, holder, lease_until, fence, created_at)
			VALUES ($1, 'shop', 's', 'r', 3, 1, 'open', '', 5, 1, 0)`, shard)
		must(t, err)
		count := func(condition string, args ...any) (n int) {
			t.Helper()
			must(t, s.QueryRow(ctx, `SELECT count(*) FROM shards WHERE `+condition, args...).Scan(&n))
			return n
		}
		quotes := []string{`o'"\ hm`, "s", "日本"}
		for name, got := range map[string]int{
			"text":  count("scenario "+d.AnyText(1), store.List(d, quotes)),
			"uuid":  count("id "+d.AnyUUID(1), store.List(d, []string{shard})),
			"int":   count("idx "+d.AnyInt(1), store.List(d, []int64{3, 9007199254740993})),
			"least": count(d.Least("$1", "lease_until")+" = 5 AND "+d.Greatest("$1", "lease_until")+" = 6", 6),
		} {
			if got != 1 {
				t.Errorf("%s finds %d rows, want 1", name, got)
			}
		}
		if n := count("scenario "+d.AnyText(1), store.List[string](d, nil)); n != 0 {
			t.Errorf("an empty list finds %d rows", n)
		}
		var id string
		must(t, s.Tx(ctx, func(tx *store.Tx) error {
			return tx.QueryRow(ctx, `SELECT id FROM shards WHERE state = 'open' ORDER BY id LIMIT 1`+d.ForUpdateSkipLocked()).Scan(&id)
		}))
		if id != shard {
			t.Errorf("the UUID came back as %q", id)
		}
		rows, err := s.Query(ctx, `SELECT value FROM `+d.Unnest(1)+` u ORDER BY value`, store.List(d, quotes))
		must(t, err)
		defer func() { must(t, rows.Close()) }()
		var got []string
		for rows.Next() {
			var value string
			must(t, rows.Scan(&value))
			got = append(got, value)
		}
		must(t, rows.Err())
		if !slices.Equal(got, quotes) {
			t.Errorf("unnested %q, want %q", got, quotes)
		}
	})
}

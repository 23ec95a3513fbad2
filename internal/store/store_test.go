// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

func open(t *testing.T, dsn string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// stores runs a test on both stores, each with the schema.
func stores(t *testing.T, test func(t *testing.T, s *store.Store)) {
	t.Helper()
	testenv.Stores(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		if err := s.Migrate(t.Context()); err != nil {
			t.Fatal(err)
		}
		test(t, s)
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	const password = "s3cr3t%zz"
	for name, test := range map[string]struct{ dsn, want string }{
		"nothing":          {"", "no address"},
		"a bare path":      {"/var/lib/kaeru.db", "no scheme"},
		"another scheme":   {"mysql://root:" + password + "@host/db", `"mysql" is not supported`},
		"no scheme":        {"root:" + password + "@host/db", "is not supported"},
		"memory":           {"sqlite:///:memory:", "not supported"},
		"no file":          {"sqlite:///", "names no file"},
		"a directory":      {"sqlite:///tmp/", "names no file"},
		"parameters":       {"sqlite:///tmp/x.db?mode=ro", "no parameters"},
		"no directory":     {"sqlite:///nonexistent/x.db", "make it first"},
		"a bad escape":     {"postgres://kaeru:" + password + "@host/db", "not a URL"},
		"a bad port":       {"postgres://kaeru:s3cr3t@host:port/db", "not a URL"},
		"a bad parameter":  {"postgres://kaeru:s3cr3t@host/db?sslmode=perhaps", "check its parameters"},
		"nobody listening": {"postgres://kaeru:s3cr3t@127.0.0.1:1/db", "connect to postgres://127.0.0.1:1/db"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := store.Open(t.Context(), test.dsn)
			if err == nil {
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not say %q", err, test.want)
			}
			if strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("error %q tells the password", err)
			}
		})
	}
}

func TestOpenRelative(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, dsn := range []string{"sqlite:kaeru.db", "sqlite:./kaeru.db", "sqlite://./kaeru.db"} {
		s, err := store.Open(t.Context(), dsn)
		must(t, err)
		if want := "sqlite://" + filepath.Join(dir, "kaeru.db"); s.String() != want {
			t.Errorf("%s opened %s, want %s", dsn, s, want)
		}
		must(t, s.Close())
	}
}

func TestMigrateAtOnce(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		var wg sync.WaitGroup
		for range 4 {
			// Each with its own Store, as processes have.
			s := open(t, dsn)
			wg.Go(func() {
				if err := s.Migrate(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		s := open(t, dsn)
		must(t, s.Migrate(t.Context()))
		var n int
		must(t, s.QueryRow(t.Context(), `SELECT count(*) FROM messages`).Scan(&n))
		_, err := s.Exec(t.Context(), `INSERT INTO schema_versions (version_id, is_applied) VALUES ($1, $2)`, 99999, true)
		must(t, err)
		if err := s.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "newer release") {
			t.Errorf("a schema of the future gives %v", err)
		}
	})
}

func TestTx(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		insert := func(q store.Querier, name string) error {
			_, err := q.Exec(ctx, `INSERT INTO keys (name, value, created_at) VALUES ($1, 'a $1 ''$2''', $2)`, name, 7)
			return err
		}
		broken := errors.New("broken")
		err := s.Tx(ctx, func(tx *store.Tx) error {
			must(t, insert(tx, "undone"))
			return broken
		})
		if !errors.Is(err, broken) {
			t.Errorf("got %v", err)
		}
		must(t, s.Tx(ctx, func(tx *store.Tx) error { return insert(tx, "done") }))
		var name, value string
		var at int64
		must(t, s.QueryRow(ctx, `SELECT name, value, created_at FROM keys`).Scan(&name, &value, &at))
		if name != "done" || value != "a $1 '$2'" || at != 7 {
			t.Errorf("got %q, %q, %d", name, value, at)
		}
		if err := insert(s, "done"); !store.IsUniqueViolation(err) {
			t.Errorf("%v is no unique violation", err)
		}
		if err := s.QueryRow(ctx, `SELECT name FROM keys WHERE name = $1`, "none").Scan(&name); !store.IsNotFound(err) {
			t.Errorf("%v is not “not found”", err)
		}
		tries := 0
		must(t, s.Tx(ctx, func(*store.Tx) error {
			if tries++; tries < 3 {
				return store.ErrRetry
			}
			return nil
		}))
		if tries != 3 {
			t.Errorf("%d tries, want 3", tries)
		}
		err = s.ReadTx(ctx, func(tx *store.Tx) error {
			var before, after int
			must(t, tx.QueryRow(ctx, `SELECT count(*) FROM keys`).Scan(&before))
			must(t, insert(s, "meanwhile"))
			must(t, tx.QueryRow(ctx, `SELECT count(*) FROM keys`).Scan(&after))
			if before != after {
				t.Errorf("%d rows became %d in one snapshot", before, after)
			}
			return insert(tx, "read")
		})
		if err == nil {
			t.Error("a read transaction wrote")
		}
	})
}

// TestTxConcurrent lets processes count in one row: none of the increments may be lost.
func TestTxConcurrent(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		ctx := t.Context()
		s := open(t, dsn)
		must(t, s.Migrate(ctx))
		_, err := s.Exec(ctx, `INSERT INTO keys (name, value, created_at) VALUES ('a', '', 0), ('b', '', 0)`)
		must(t, err)
		const workers, rounds = 4, 3 // PostgreSQL takes a second to see a deadlock
		var wg sync.WaitGroup
		for worker := range workers {
			s := open(t, dsn)
			names := []string{"a", "b"}
			if worker%2 == 1 {
				names = []string{"b", "a"} // a deadlock, on PostgreSQL
			}
			wg.Go(func() {
				for range rounds {
					err := s.Tx(ctx, func(tx *store.Tx) error {
						for _, name := range names {
							if _, err := tx.Exec(ctx, `UPDATE keys SET created_at = created_at + 1 WHERE name = $1`, name); err != nil {
								return err
							}
						}
						return nil
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		var sum int64
		must(t, s.QueryRow(ctx, `SELECT sum(created_at) FROM keys`).Scan(&sum))
		if sum != 2*workers*rounds {
			t.Errorf("counted %d, want %d", sum, 2*workers*rounds)
		}
	})
}

func TestBulkInsert(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		ctx := t.Context()
		for _, count := range []int{0, 1, 170, 171, 1000} {
			rows := func(yield func([]any) bool) {
				row := make([]any, 3)
				for i := range count {
					row[0], row[1], row[2] = "k"+string(rune('0'+count%10))+time.Duration(i).String(), "", i
					if !yield(row) {
						return
					}
				}
			}
			must(t, s.Tx(ctx, func(tx *store.Tx) error {
				_, err := tx.Exec(ctx, `DELETE FROM keys`)
				must(t, err)
				n, err := store.BulkInsert(ctx, tx, "keys", []string{"name", "value", "created_at"}, rows)
				if n != int64(count) {
					t.Errorf("inserted %d, want %d", n, count)
				}
				return err
			}))
			var n, sum int
			must(t, s.QueryRow(ctx, `SELECT count(*), coalesce(sum(created_at), 0) FROM keys`).Scan(&n, &sum))
			if n != count || sum != count*(count-1)/2 {
				t.Errorf("found %d rows and the sum %d of %d", n, sum, count)
			}
			if count == 0 {
				continue
			}
			err := s.Tx(ctx, func(tx *store.Tx) error {
				_, err := store.BulkInsert(ctx, tx, "keys", []string{"name", "value", "created_at"}, rows)
				return err
			})
			if !store.IsUniqueViolation(err) {
				t.Errorf("inserting again gives %v", err)
			}
		}
	})
}

func TestKey(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		s := open(t, dsn)
		must(t, s.Migrate(t.Context()))
		keys := make([]string, 8)
		var wg sync.WaitGroup
		for i := range keys {
			wg.Go(func() {
				key, err := s.Key(context.WithoutCancel(t.Context()), "links")
				if err != nil {
					t.Error(err)
				}
				keys[i] = string(key)
			})
		}
		wg.Wait()
		for _, key := range keys {
			if key != keys[0] || len(key) != 32 {
				t.Fatalf("keys differ or have not 32 bytes: %q", keys)
			}
		}
		other, err := s.Key(t.Context(), "other")
		must(t, err)
		if string(other) == keys[0] {
			t.Error("two names have one key")
		}
	})
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/yaml"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/store"
)

var update = flag.Bool("update", false, "write the golden files anew")

var testNow = time.Date(2026, 7, 1, 9, 0, 0, 0, time.UTC)

// audienceStore is a store with a segment that was refreshed twice, an hour apart and the second time
// at testNow, and one that is suspended. It gives the DSN.
func audienceStore(t *testing.T) string {
	t.Helper()
	dsn := "sqlite://" + filepath.Join(t.TempDir(), "kaeru.db")
	st, err := openStore(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	}()
	clk := testingclock.NewFakeClock(testNow.Add(-time.Hour))
	ordered := func(customer string, ago time.Duration, total int64) store.Order {
		return store.Order{ID: fmt.Sprint(customer, ago), CustomerID: customer, PlacedAt: testNow.Add(-ago), Total: money.Amount(total) * money.Unit}
	}
	const day = 24 * time.Hour
	err = st.Tx(t.Context(), func(tx *store.Tx) error {
		customers := []store.Customer{{
			ID: "hanako", Email: store.Value("hanako@example.com"), Consents: map[string]string{"email": store.ConsentGranted},
			Attributes: map[string]json.RawMessage{"rank": json.RawMessage(`"gold\u001b[2J"`), "secret": json.RawMessage(`"never told"`)},
		}, {ID: "jiro"}, {ID: "taro"}}
		if _, err := tx.UpsertCustomers(t.Context(), "shop", customers, clk.Now()); err != nil {
			return err
		}
		_, err := tx.UpsertOrders(t.Context(), "shop", []store.Order{ordered("hanako", 5*day, 3000), ordered("taro", 30*day-time.Minute, 900)}, clk.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	tokyo, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	spec := &v1alpha1.SegmentSpec{}
	if err := yaml.UnmarshalStrict([]byte(`
all: [{lastOrder: {within: 30d}}, {spend: {atLeast: 500}}]
any: [{anyOf: [{attribute: {name: rank, in: [gold, silver]}}, {lifecycle: {in: [First]}}]}]
none: [{event: {name: Product Added, within: 7d}}]
`), &spec.Match); err != nil {
		t.Fatal(err)
	}
	r := &audience.Refresher{Store: st, Clock: clk}
	refresh := func(name string) {
		t.Helper()
		if _, err := r.Refresh(t.Context(), "shop", name, spec, audience.Shop{Zone: tokyo}); err != nil {
			t.Fatal(err)
		}
	}
	refresh("f2")
	refresh("resting")
	if err := r.Suspend(t.Context(), "shop", "resting"); err != nil {
		t.Fatal(err)
	}
	err = st.Tx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.UpsertOrders(t.Context(), "shop", []store.Order{ordered("jiro", 30*time.Minute, 700)}, clk.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	clk.SetTime(testNow)
	refresh("f2")
	return dsn
}

// runAudience runs the command a quarter of an hour after testNow.
func runAudience(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := audienceCommandAt(func(string) (clock.Clock, error) {
		return testingclock.NewFakeClock(testNow.Add(15 * time.Minute)), nil
	})
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	var out strings.Builder
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(t.Context())
	return out.String(), err
}

var tookForm = regexp.MustCompile(`(DURATION +|"duration": "|,)[0-9.]+(µs|ms|s)`)

// TestAudience holds what the command prints against golden files.
func TestAudience(t *testing.T) {
	dsn := audienceStore(t)
	for name, args := range map[string]string{
		"members":       "f2",
		"members-csv":   "f2 -o csv",
		"members-json":  "f2 -o json",
		"suspended":     "resting",
		"counts":        "f2 --counts",
		"counts-csv":    "f2 --counts -o csv",
		"counts-json":   "f2 --counts -o json",
		"sample":        "f2 --sample 9",
		"sample-csv":    "f2 --sample 9 -o csv",
		"sample-json":   "f2 --sample 9 -o json",
		"at":            "f2 --at 2026-07-01T17:59:59+09:00",
		"at-csv":        "f2 --at 2026-07-01T17:59:59+09:00 -o csv",
		"at-json":       "f2 --at 2026-07-01T17:59:59+09:00 -o json --sample 9",
		"explain":       "f2 --explain hanako",
		"explain-csv":   "f2 --explain hanako -o csv",
		"explain-json":  "f2 --explain hanako -o json",
		"explain-stale": "f2 --explain taro",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := runAudience(t, append(strings.Fields(args), "-n", "shop", "--store", dsn)...)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(got, "never told") || strings.Contains(got, "\x1b") && !strings.HasSuffix(name, "-csv") {
				t.Errorf("it tells what no condition asks for, or commands the terminal: %q", got)
			}
			got = tookForm.ReplaceAllString(got, "${1}1ms")
			file := filepath.Join("testdata", "audience", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("it is not what %s has: if it should be, run go test ./cmd/kaeru -update\n%s", file, got)
			}
		})
	}
}

func TestAudienceSamples(t *testing.T) {
	dsn := audienceStore(t)
	seen := map[string]bool{}
	for range 100 {
		got, err := runAudience(t, "f2", "-n", "shop", "--store", dsn, "--sample", "1", "-o", "json")
		if err != nil {
			t.Fatal(err)
		}
		var members []struct {
			ID        string    `json:"id"`
			EnteredAt time.Time `json:"enteredAt"`
		}
		if err := json.Unmarshal([]byte(got), &members); err != nil || len(members) != 1 || members[0].EnteredAt.IsZero() {
			t.Fatalf("%s: %v", got, err)
		}
		if seen[members[0].ID] = true; len(seen) == 3 {
			return
		}
	}
	t.Errorf("in 100 samples there were only %v", seen)
}

func TestAudienceRefuses(t *testing.T) {
	dsn := audienceStore(t)
	for name, c := range map[string]struct{ args, want string }{
		"no namespace":               {"f2", "write -n NAMESPACE"},
		"a form that there is not":   {"f2 -n shop -o yaml", "write table, csv or json"},
		"a segment that is not":      {"f3 -n shop", "was never refreshed: apply it"},
		"counts of no segment":       {"f3 -n shop --counts", "was never refreshed: apply it"},
		"a sample of none":           {"f2 -n shop --sample 0", "--sample 0: write how many"},
		"two questions":              {"f2 -n shop --counts --explain hanako", "ask one at a time"},
		"explained then":             {"f2 -n shop --at 2026-07-01 --explain hanako", "ask one at a time"},
		"counts then":                {"f2 -n shop --at 2026-07-01 --counts", "ask one at a time"},
		"nobody to explain":          {"f2 -n shop --explain=", "--explain is empty: write the id of a customer"},
		"no time":                    {"f2 -n shop --at=", "--at is empty: write a time such as"},
		"before it is known":         {"f2 -n shop --at 2026-06-30", `--at: who was in segment "f2" is known from 2026-07-01T17:00:00+09:00 on`},
		"the future":                 {"f2 -n shop --at 2027-01-01", "lies in the future"},
		"not a time":                 {"f2 -n shop --at noon", "is no time: write one such as"},
		"a customer who is not":      {"f2 -n shop --explain nobody", `customer "nobody" is not known in namespace shop`},
		"a suspended one, explained": {"resting -n shop --explain hanako", "set spec.suspend to false"},
	} {
		got, err := runAudience(t, append(strings.Fields(c.args), "--store", dsn)...)
		if err == nil || !strings.Contains(err.Error(), c.want) || got != "" {
			t.Errorf("%s: %v, want %q, and printed %q", name, err, c.want, got)
		}
	}
}

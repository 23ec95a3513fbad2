// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const (
	failedKey  = "00000000-0000-4000-8000-000000000001"
	unknownKey = "00000000-0000-4000-8000-000000000002"
	sentKey    = "00000000-0000-4000-8000-000000000003"
)

// outbox fills a store with one message of each of three ends.
func outbox(t *testing.T, dsn string) *store.Store {
	t.Helper()
	st, err := store.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	if err := st.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := store.Millis(time.Now())
	for _, s := range []struct {
		query string
		args  []any
	}{
		{`INSERT INTO customers (ns, id, email, attributes, created_at, updated_at) VALUES ('shop', 'anna', 'anna@example.com', '{}', 0, 0)`, nil},
		{`INSERT INTO consents (ns, customer_id, channel, state, source, changed_at) VALUES ('shop', 'anna', 'email', 'granted', 'test', 0)`, nil},
		{`INSERT INTO scenarios (ns, name, epoch, revision, state, goal_seen_at, updated_at) VALUES ('shop', 'winback', '', 'r1', 'armed', 0, 0)`, nil},
		{`INSERT INTO messages (id, ns, scenario, epoch, customer_id, entry, step, run, revision, channel, kind, state, reason, provider_id, attempts, fence, parts, cost, due_at, planned_at, expires_at, begun_at, ended_at) VALUES
('` + failedKey + `', 'shop', 'winback', '', 'anna', '1', 'a', '', 'r1', 'mail', 'email', 'failed', 'ProviderUnreachable', NULL, 3, 1, 1, 0, $1, $1, $1, $1, $1),
('` + unknownKey + `', 'shop', 'winback', '', 'anna', '2', 'a', '', 'r1', 'mail', 'email', 'unknown', 'OutcomeLost', NULL, 1, 1, 1, 0, $1, $1, $1, $1, $1 + 1),
('` + sentKey + `', 'shop', 'winback', '', 'anna', '3', 'a', '', 'r1', 'mail', 'email', 'sent', '', 'queued-7', 1, 1, 1, 0, $1, $1, $1, $1, $1 - 172800000)`, []any{now}},
	} {
		if _, err := st.Exec(t.Context(), s.query, s.args...); err != nil {
			t.Fatal(err)
		}
	}
	return st
}

func TestMessagesAndRetry(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		st := outbox(t, dsn)
		run := func(want, wantErr string, args ...string) string {
			t.Helper()
			got, err := kaeru(t, append(args, "-n", "shop", "--store", dsn)...)
			if wantErr == "" && err != nil || wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr)) {
				t.Errorf("%v: %v, want %q", args, err, wantErr)
			}
			if !strings.Contains(got, want) {
				t.Errorf("%v: %s, want %s", args, got, want)
			}
			if strings.Contains(got, "anna@example.com") {
				t.Errorf("%v prints an address: %s", args, got)
			}
			return got
		}
		all := run("queued-7", "", "messages")
		if strings.Index(all, unknownKey) > strings.Index(all, failedKey) || strings.Index(all, failedKey) > strings.Index(all, sentKey) {
			t.Errorf("the newest are not first:\n%s", all)
		}
		if got := run("failed   ProviderUnreachable   3", "", "messages", "--state", "failed"); strings.Contains(got, "queued-7") {
			t.Error(got)
		}
		if got := run(failedKey, "", "messages", "--since", "1d"); strings.Contains(got, sentKey) {
			t.Error(got)
		}
		run("There are more than 1", "", "messages", "--limit", "1")
		run("winback    a      failed    ProviderUnreachable   1", "", "messages", "--summary")
		run("[]", "", "messages", "--customer", "nobody", "-o", "json")
		var listed []dispatch.Outgoing
		if err := json.Unmarshal([]byte(run("", "", "messages", "--key", sentKey, "-o", "json")), &listed); err != nil || len(listed) != 1 || listed[0].ProviderID != "queued-7" {
			t.Errorf("%v, %v", listed, err)
		}
		for wantErr, args := range map[string][]string{
			`--state "lost": write planned`:     {"messages", "--state", "failed,lost"},
			`--since "yesterday": write how`:    {"messages", "--since", "yesterday"},
			"--limit 0: write 1 to":             {"messages", "--limit", "0"},
			`--output "xml": write table`:       {"messages", "-o", "xml"},
			`--key "7" is no key`:               {"messages", "--key", "7"},
			"--scenario is empty":               {"messages", "--scenario", ""},
			"nothing says which messages":       {"retry"},
			"has no such message":               {"retry", "--key", "00000000-0000-4000-8000-00000000000f"},
			"--state: only messages that ended": {"retry", "--state", "sent"},
			`--limit 100001: write 1 to 100000`: {"retry", "--scenario", "winback", "--limit", "100001"},
		} {
			run("", wantErr, args...)
		}
		run("would be planned again", "", "retry", "--scenario", "winback", "--dry-run")
		run("1 planned again, 0 refused", "", "retry", "--scenario", "winback")
		run("refused: it is on its way", "", "retry", "--key", failedKey)
		run("--unknown sends it again with the same Message-ID", "", "retry", "--state", "unknown")
		run("1 planned again", "", "retry", "--state", "unknown", "--unknown")
		run("refused: it was sent", "", "retry", "--key", sentKey)
		run("No message is meant", "", "retry", "--scenario", "winback")
		run("[]", "", "retry", "--scenario", "winback", "-o", "json")
		var n int
		if err := st.QueryRow(t.Context(), `SELECT COUNT(*) FROM messages m JOIN shards h ON h.id = m.shard WHERE m.state = 'planned' AND h.state = 'open'`).Scan(&n); err != nil || n != 2 {
			t.Errorf("%d messages are in open shards, %v", n, err)
		}
	})
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// mostMessages is how many messages a command lists or plans again at most.
const mostMessages = 100_000

// whichMessages are the flags that say which messages are meant.
type whichMessages struct {
	shopStore
	which         dispatch.Which
	states, since string
	limit         int
	output        string
}

func (w *whichMessages) flags(cmd *cobra.Command, limit int) {
	w.shopStore.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&w.which.Key, "key", "", "only the message of this key")
	f.StringVar(&w.which.Scenario, "scenario", "", "only those of this Scenario")
	f.StringVar(&w.which.Step, "step", "", "only those of this step")
	f.StringVar(&w.states, "state", "", "only those in these states, such as failed,unknown,skipped")
	f.StringVar(&w.which.Reason, "reason", "", "only those that ended for this reason, such as ProviderUnreachable")
	f.StringVar(&w.which.Customer, "customer", "", "only those to this customer, by id")
	f.StringVar(&w.which.Channel, "channel", "", "only those through this ChannelConfig")
	f.StringVar(&w.since, "since", "", "only those that ended so long ago at most, such as 24h or 7d, and those under way")
	f.IntVar(&w.limit, "limit", limit, "how many at most, the newest first")
	f.StringVarP(&w.output, "output", "o", "table", "table or json")
}

// read checks the flags, and reads them on the shop's clock.
func (w *whichMessages) read(given func(flag string) bool, now time.Time) error {
	for flag, value := range map[string]string{"key": w.which.Key, "scenario": w.which.Scenario, "step": w.which.Step, "state": w.states,
		"reason": w.which.Reason, "customer": w.which.Customer, "channel": w.which.Channel, "since": w.since} {
		if given(flag) && value == "" {
			return fmt.Errorf("--%s is empty: write a value, or leave it out", flag)
		}
	}
	if w.output != "table" && w.output != "json" {
		return fmt.Errorf("--output %q: write table or json", w.output)
	}
	if w.limit < 1 || w.limit > mostMessages {
		return fmt.Errorf("--limit %d: write 1 to %d", w.limit, mostMessages)
	}
	if w.states != "" {
		w.which.States = strings.Split(w.states, ",")
	}
	if w.since != "" {
		ago, err := crm.ParseDuration(w.since)
		if err != nil || ago <= 0 {
			return fmt.Errorf("--since %q: write how long ago, such as 24h or 7d", w.since)
		}
		w.which.Since = now.Add(-ago)
	}
	w.which.Namespace = w.namespace
	return w.which.Check()
}

func messagesCommand() *cobra.Command {
	var w whichMessages
	var summary bool
	cmd := &cobra.Command{
		Use:   "messages -n NAMESPACE",
		Short: "List messages and what became of them, or count them; neither addresses nor content are shown",
		Example: `  kaeru messages -n shop --state failed,unknown --since 24h
  kaeru messages -n shop --summary --scenario winback
  kaeru messages -n shop --customer c-1042 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return w.with(cmd, func(st *store.Store, clk clock.Clock) error {
				if err := w.read(cmd.Flags().Changed, clk.Now()); err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				if summary {
					totals, err := dispatch.Totals(cmd.Context(), st, w.which)
					if err != nil {
						return err
					}
					return printTotals(out, totals, w.output)
				}
				found, err := dispatch.Messages(cmd.Context(), st, w.which, w.limit+1)
				if err != nil {
					return err
				}
				more := len(found) > w.limit
				if more {
					found = found[:w.limit]
				}
				if w.output == "json" {
					if found == nil {
						found = []dispatch.Outgoing{}
					}
					return printJSON(out, found)
				}
				if err := printMessages(out, found); err != nil || !more {
					return err
				}
				_, err = fmt.Fprintf(cmd.ErrOrStderr(), "There are more than %d: narrow the question, raise --limit, or count them with --summary.\n", w.limit)
				return err
			})
		},
	}
	w.flags(cmd, 100)
	cmd.Flags().BoolVar(&summary, "summary", false, "count them by scenario, step, state and reason instead")
	return cmd
}

func printMessages(w io.Writer, messages []dispatch.Outgoing) error {
	rows := [][]string{{"KEY", "SCENARIO", "STEP", "CUSTOMER", "CHANNEL", "STATE", "REASON", "TRIES", "PLANNED", "ENDED", "PROVIDER ID"}}
	for i := range messages {
		m := &messages[i]
		ended := "-"
		if m.Ended != nil {
			ended = m.Ended.Format(tableTime)
		}
		rows = append(rows, []string{m.Key, m.Scenario, m.Step, m.Customer, m.Channel, m.State, dash(m.Reason), strconv.Itoa(m.Tries), m.Planned.Format(tableTime), ended, m.ProviderID})
	}
	return printRows(w, rows)
}

func printTotals(w io.Writer, totals []dispatch.Total, output string) error {
	if output == "json" {
		if totals == nil {
			totals = []dispatch.Total{}
		}
		return printJSON(w, totals)
	}
	rows := [][]string{{"SCENARIO", "STEP", "STATE", "REASON", "MESSAGES"}}
	for _, t := range totals {
		rows = append(rows, []string{t.Scenario, t.Step, t.State, dash(t.Reason), strconv.FormatInt(t.Messages, 10)})
	}
	return printRows(w, rows)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

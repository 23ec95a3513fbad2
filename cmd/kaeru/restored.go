// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/store"
)

func restoredCommand() *cobra.Command {
	var s shopStore
	var taken string
	cmd := &cobra.Command{
		Use:   "restored -n NAMESPACE --backup TIME",
		Short: "After the store was restored from a backup: find out about what may have been sent since, instead of sending it",
		Long: `The store was restored from a backup, so what was sent after the backup was taken is not in it, and is planned
again with the same keys. Suspend the shop's ChannelConfigs before the manager starts, let it plan, run this, and
resume them. What was due until now is then found out about: LINE gets it with the same retry key and takes it once,
Twilio is asked for it, and mails end unknown, since no mail server can be asked.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if taken == "" {
				return errors.New("--backup is not set: write when the backup was taken, such as 2026-11-24T02:00:00Z")
			}
			at, err := time.Parse(time.RFC3339, taken)
			if err != nil {
				return fmt.Errorf("--backup %q: write a time with its zone, such as 2026-11-24T02:00:00Z", taken)
			}
			return s.with(cmd, func(st *store.Store, clk clock.Clock) error {
				if at.After(time.Now()) {
					return fmt.Errorf("--backup %s is in the future: write when the backup was taken", taken)
				}
				done, err := dispatch.Doubt(cmd.Context(), st, s.namespace, at, clk.Now())
				if err != nil {
					return err
				}
				rows := [][]string{{"KIND", "MARKED", "WHAT BECOMES OF THEM"}}
				for _, k := range []struct{ kind, what string }{
					{"line", "pushed with the same retry key, which LINE takes once in 24 hours; unknown after that"},
					{"sms", "asked for by their link; unknown where Twilio does not show them"},
					{"email", "unknown"},
					{"webhook", "called again with the same webhook-id"},
				} {
					rows = append(rows, []string{k.kind, fmt.Sprint(done.Marked[k.kind]), k.what})
				}
				if err := printRows(cmd.OutOrStdout(), rows); err != nil || done.Unplanned == 0 {
					return err
				}
				return fmt.Errorf("%d customers are due and have no message yet: keep the channels suspended until the manager has planned theirs, and run this again", done.Unplanned)
			})
		},
	}
	s.flags(cmd)
	cmd.Flags().StringVar(&taken, "backup", "", "when the backup was taken, such as 2026-11-24T02:00:00Z")
	return cmd
}

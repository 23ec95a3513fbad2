// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/store"
)

func retryCommand() *cobra.Command {
	var w whichMessages
	var r dispatch.Redrive
	var yes bool
	cmd := &cobra.Command{
		Use:   "retry -n NAMESPACE (--key KEY | --scenario NAME …)",
		Short: "Plan messages again that failed, and say of each what was done",
		Long: `Plans messages again that ended without being sent, with the keys that they have. Consent, suppressions,
quiet hours and caps are looked at again when they are sent, and each is useful for a day from now.
Without --state it takes those that failed; those that ended as unknown, which the provider may have,
only with --unknown; and of those that were skipped the ones that Expired or had a MissingValue.`,
		Example: `  kaeru retry -n shop --scenario winback --reason ProviderUnreachable --dry-run
  kaeru retry -n shop --state skipped --reason Expired --since 7d --yes
  kaeru retry -n shop --key 6ba7b810-9dad-51d1-80b4-00c04fd430c8 --unknown`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return w.with(cmd, func(st *store.Store, clk clock.Clock) error {
				if err := w.read(cmd.Flags().Changed, clk.Now()); err != nil {
					return err
				}
				if !anyChanged(cmd, "key", "scenario", "step", "state", "reason", "customer", "channel", "since") {
					return errors.New("nothing says which messages: write --key, or narrow them with --scenario, --step, --state, --reason, --customer, --channel or --since")
				}
				if in, ok := cmd.InOrStdin().(*os.File); ok && !yes && !r.DryRun && isatty.IsTerminal(in.Fd()) {
					return errors.New("what is sent cannot be taken back: look with --dry-run first, and write --yes")
				}
				r.Which, r.Limit = w.which, w.limit
				return retry(cmd, st, clk, r, w.output)
			})
		},
	}
	w.flags(cmd, 1000)
	f := cmd.Flags()
	f.BoolVar(&r.Unknown, "unknown", false, "also those whose provider may have them already")
	f.BoolVar(&r.DryRun, "dry-run", false, "change nothing, and say what would be done")
	f.BoolVar(&yes, "yes", false, "do not ask; needed on a terminal")
	return cmd
}

func anyChanged(cmd *cobra.Command, flags ...string) bool {
	for _, flag := range flags {
		if cmd.Flags().Changed(flag) {
			return true
		}
	}
	return false
}

func retry(cmd *cobra.Command, st *store.Store, clk clock.Clock, r dispatch.Redrive, output string) error {
	done := []dispatch.Redriven{}
	err := r.Run(cmd.Context(), st, clk, func(m dispatch.Redriven) error {
		done = append(done, m)
		return nil
	})
	// What was done is said also where the rest could not be.
	if len(done) > 0 || err == nil && output == "json" {
		err = errors.Join(err, printRetried(cmd.OutOrStdout(), done, r.DryRun, output))
	}
	if err == nil && len(done) == 0 && r.Key != "" {
		return fmt.Errorf("--key %s: namespace %s has no such message", r.Key, r.Namespace)
	}
	if err == nil && len(done) == 0 && output == "table" {
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "No message is meant by that.")
	}
	return err
}

func printRetried(w io.Writer, done []dispatch.Redriven, dry bool, output string) error {
	if output == "json" {
		return printJSON(w, done)
	}
	word := "planned again"
	if dry {
		word = "would be planned again"
	}
	rows := [][]string{{"KEY", "SCENARIO", "STEP", "CUSTOMER", "CHANNEL", "WAS", "REASON", "NOW"}}
	again := 0
	for i := range done {
		m := &done[i]
		now := "refused: " + m.Refused
		if m.Refused == "" {
			now, again = word, again+1
		}
		rows = append(rows, []string{m.Key, m.Scenario, m.Step, m.Customer, m.Channel, m.State, dash(m.Reason), now})
	}
	if err := printRows(w, rows); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d %s, %d refused\n", again, word, len(done)-again)
	return err
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/ingest"
	"github.com/kaeru-dev/kaeru/internal/store"
)

func suppressionsCommand() *cobra.Command {
	list := listSuppressionsCommand("suppressions -n NAMESPACE", "List the addresses that are not used, whoever they belong to", "table")
	list.AddCommand(
		listSuppressionsCommand("export -n NAMESPACE", "Print the list as suppressions import reads it", "csv"),
		importSuppressionsCommand(), removeSuppressionCommand())
	return list
}

func listSuppressionsCommand(use, short, format string) *cobra.Command {
	var s shopStore
	var channel, output string
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if channel != "" && !slices.Contains(store.Channels, channel) {
				return fmt.Errorf("--channel %q: write %s", channel, strings.Join(store.Channels, ", "))
			}
			write, end, err := suppressionWriter(cmd.OutOrStdout(), output)
			if err != nil {
				return err
			}
			return s.with(cmd, func(st *store.Store, _ clock.Clock) error {
				return errors.Join(st.Suppressions(cmd.Context(), s.namespace, channel, write), end())
			})
		},
	}
	s.flags(cmd)
	cmd.Flags().StringVar(&channel, "channel", "", "email, line or sms (default: all)")
	cmd.Flags().StringVarP(&output, "output", "o", format, "table, csv or json (JSON lines)")
	return cmd
}

// suppressionWriter writes a list row by row, however long it is.
func suppressionWriter(w io.Writer, output string) (write func(store.Suppression) error, end func() error, err error) {
	cells := func(x store.Suppression) []string {
		return []string{x.Channel, x.Address, x.Reason, x.At.Format(time.RFC3339)}
	}
	switch output {
	case "csv":
		out := csv.NewWriter(w)
		err := out.Write([]string{"channel", "address", "reason", "at"})
		return func(x store.Suppression) error { return out.Write(cells(x)) }, func() error { out.Flush(); return out.Error() }, err
	case "json":
		buffer := bufio.NewWriter(w)
		out := json.NewEncoder(buffer)
		return func(x store.Suppression) error { return out.Encode(x) }, buffer.Flush, nil
	case "table":
		out := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
		_, err := fmt.Fprintln(out, "CHANNEL\tADDRESS\tREASON\tSINCE")
		return func(x store.Suppression) error {
			_, err := fmt.Fprintln(out, strings.Join(cells(x), "\t"))
			return err
		}, out.Flush, err
	}
	return nil, nil, fmt.Errorf("--output %q: write table, csv or json", output)
}

func importSuppressionsCommand() *cobra.Command {
	var s shopStore
	var refused string
	cmd := &cobra.Command{
		Use:   "import -n NAMESPACE FILE",
		Short: "Add addresses from CSV or JSON lines with channel, address and reason; doing it again changes nothing",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.with(cmd, func(st *store.Store, clk clock.Clock) error {
				result, err := ingest.File(cmd.Context(), st, s.namespace, "suppressions", args[0], cmd.InOrStdin(), ingest.Options{Clock: clk, Location: time.UTC, RefusedFile: refused})
				report(cmd.OutOrStdout(), "suppressions", result)
				if err == nil && result.Refused > 0 {
					err = fmt.Errorf("%d of %d rows were refused; correct them in %s and import them again", result.Refused, result.Rows, result.RefusedFile)
				}
				return err
			})
		},
	}
	s.flags(cmd)
	cmd.Flags().StringVar(&refused, "refused", "", "file for refused rows (default: FILE.refused.csv)")
	return cmd
}

func removeSuppressionCommand() *cobra.Command {
	var s shopStore
	var reason string
	cmd := &cobra.Command{
		Use:   "remove -n NAMESPACE CHANNEL ADDRESS --reason WHY",
		Short: "Let an address be used again",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return errors.New("--reason is not set: write why the address may be used again, which is printed with the result")
			}
			return s.with(cmd, func(st *store.Store, _ clock.Clock) error {
				lifted, err := st.Lift(cmd.Context(), s.namespace, args[0], args[1])
				if err != nil {
					return err
				}
				if !lifted {
					return fmt.Errorf("%s is not on the list of %s: see kaeru suppressions -n %s", args[1], args[0], s.namespace)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s may be used again: %s\n", args[1], reason)
				return nil
			})
		},
	}
	s.flags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why it may be used again")
	return cmd
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// shopStore is the store, and the namespace in it, that a command works on.
type shopStore struct{ dsn, namespace, clock string }

func (s *shopStore) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.dsn, "store", os.Getenv(storeVariable), "DSN of the database ($"+storeVariable+")")
	f.StringVarP(&s.namespace, "namespace", "n", "", "namespace of the shop")
	f.StringVar(&s.clock, "clock", os.Getenv(clockVariable), "for demos: business time ($"+clockVariable+")")
}

// with opens the store for a command.
func (s *shopStore) with(cmd *cobra.Command, do func(st *store.Store, clk clock.Clock) error) (err error) {
	if s.namespace == "" {
		return errors.New("--namespace is not set: a namespace is a shop, write -n NAMESPACE")
	}
	clk, err := clock.Parse(s.clock)
	if err != nil {
		return fmt.Errorf("--clock: %w", err)
	}
	st, err := openStore(cmd.Context(), s.dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	return do(st, clk)
}

func exportCommand() *cobra.Command {
	var s shopStore
	cmd := &cobra.Command{
		Use:   "export -n NAMESPACE CUSTOMER",
		Short: "Print all that is held about a customer, as JSON",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.with(cmd, func(st *store.Store, _ clock.Clock) error {
				held, err := st.Export(cmd.Context(), s.namespace, args[0])
				if store.IsNotFound(err) {
					return fmt.Errorf("nothing is held about customer %q of namespace %s", args[0], s.namespace)
				}
				if err != nil {
					return err
				}
				return printJSON(cmd.OutOrStdout(), held)
			})
		},
	}
	s.flags(cmd)
	return cmd
}

func eraseCommand() *cobra.Command {
	var s shopStore
	var yes bool
	var output string
	cmd := &cobra.Command{
		Use:   "erase -n NAMESPACE CUSTOMER",
		Short: "Remove what is held about a customer, and say what was done; it cannot be undone",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "table" && output != "json" {
				return fmt.Errorf("--output %q: write table or json", output)
			}
			if in, ok := cmd.InOrStdin().(*os.File); ok && !yes && isatty.IsTerminal(in.Fd()) {
				return fmt.Errorf("erasing customer %q cannot be undone: look at kaeru export first, and write --yes", args[0])
			}
			return s.with(cmd, func(st *store.Store, clk clock.Clock) error {
				done, err := st.Erase(cmd.Context(), s.namespace, args[0], clk.Now())
				if err != nil {
					return err
				}
				w := cmd.OutOrStdout()
				if output == "json" {
					if done == nil {
						done = []store.Erased{}
					}
					return printJSON(w, done)
				}
				if len(done) == 0 {
					fmt.Fprintln(w, "Nothing is held about this customer.")
					return nil
				}
				rows := [][]string{{"TABLE", "ROWS", "WHAT WAS DONE"}}
				for _, d := range done {
					rows = append(rows, []string{d.Table, fmt.Sprint(d.Rows), d.Fate})
				}
				return printRows(w, rows)
			})
		},
	}
	s.flags(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask; needed on a terminal")
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}

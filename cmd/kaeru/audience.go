// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/store"
)

func audienceCommand() *cobra.Command {
	var dsn, namespace, output string
	cmd := &cobra.Command{
		Use:   "audience -n NAMESPACE SEGMENT",
		Short: "List the members of a segment, as of its last refresh",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if namespace == "" {
				return errors.New("--namespace is not set: a namespace is a shop, write -n NAMESPACE")
			}
			st, err := openStore(cmd.Context(), dsn)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, st.Close()) }()
			r := &audience.Refresher{Store: st, Clock: clock.Real()}
			state, known, err := r.State(cmd.Context(), namespace, args[0])
			if err != nil {
				return err
			}
			if !known {
				return fmt.Errorf("segment %q of namespace %s was never refreshed: apply it, and see kubectl get segments -n %s", args[0], namespace, namespace)
			}
			return printMembers(cmd, r, namespace, args[0], state, output)
		},
	}
	f := cmd.Flags()
	f.StringVar(&dsn, "store", os.Getenv(storeVariable), "DSN of the database ($"+storeVariable+")")
	f.StringVarP(&namespace, "namespace", "n", "", "namespace of the shop")
	f.StringVarP(&output, "output", "o", "table", "table, csv or json")
	return cmd
}

// printMembers streams the members: a segment may be larger than memory.
func printMembers(cmd *cobra.Command, r *audience.Refresher, namespace, name string, state audience.State, output string) error {
	w := cmd.OutOrStdout()
	members := r.Members(cmd.Context(), namespace, name, false)
	switch output {
	case "json":
		return printJSON(w, members)
	case "csv":
		out := csv.NewWriter(w)
		if err := out.Write([]string{"id"}); err != nil {
			return err
		}
		for m, err := range members {
			if err != nil {
				return err
			}
			if err := out.Write([]string{m.ID}); err != nil {
				return err
			}
		}
		out.Flush()
		return out.Error()
	case "table":
		fmt.Fprintf(w, "SEGMENT\t%s\nMEMBERS\t%d\nREACHABLE\tline %d, email %d, sms %d\nREFRESHED\t%s\n\nID\n", name, state.Members,
			state.Reach.Line, state.Reach.Email, state.Reach.SMS, state.RefreshedAt.Format("2006-01-02 15:04:05 MST"))
		for m, err := range members {
			if err != nil {
				return err
			}
			fmt.Fprintln(w, m.ID)
		}
		return nil
	}
	return fmt.Errorf("--output %q: write table, csv or json", output)
}

func printJSON(w io.Writer, members func(func(audience.Member, error) bool)) error {
	before := "[\n"
	for m, err := range members {
		if err != nil {
			return err
		}
		row, err := json.Marshal(map[string]string{"id": m.ID})
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, "%s  %s", before, row); err != nil {
			return err
		}
		before = ",\n"
	}
	if before == "[\n" {
		_, err := fmt.Fprintln(w, "[]")
		return err
	}
	_, err := fmt.Fprintln(w, "\n]")
	return err
}

func metricsCommand() *cobra.Command {
	var dsn, namespace string
	cmd := &cobra.Command{Use: "metrics", Short: "Check or rebuild the metrics of a shop's customers"}
	run := func(use, short string, f func(*cobra.Command, *store.Store) error) *cobra.Command {
		return &cobra.Command{
			Use: use, Short: short, Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) (err error) {
				if namespace == "" {
					return errors.New("--namespace is not set: a namespace is a shop, write -n NAMESPACE")
				}
				st, err := openStore(cmd.Context(), dsn)
				if err != nil {
					return err
				}
				defer func() { err = errors.Join(err, st.Close()) }()
				return f(cmd, st)
			},
		}
	}
	cmd.AddCommand(
		run("rebuild", "Compute all metrics anew from the orders", func(cmd *cobra.Command, st *store.Store) error {
			return st.RebuildMetrics(cmd.Context(), namespace)
		}),
		run("check", "Compare the metrics with the orders; fails where they differ", func(cmd *cobra.Command, st *store.Store) error {
			wrong, err := st.CheckMetrics(cmd.Context(), namespace)
			if err != nil {
				return err
			}
			if wrong > 0 {
				return fmt.Errorf("the metrics of %d customers differ from their orders: run kaeru metrics rebuild -n %s", wrong, namespace)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "all metrics agree with the orders")
			return err
		}),
	)
	f := cmd.PersistentFlags()
	f.StringVar(&dsn, "store", os.Getenv(storeVariable), "DSN of the database ($"+storeVariable+")")
	f.StringVarP(&namespace, "namespace", "n", "", "namespace of the shop")
	return cmd
}

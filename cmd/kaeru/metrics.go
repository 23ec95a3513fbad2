// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/kaeru-dev/kaeru/internal/store"
)

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

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

// sandboxFaultsCommand lists the failures that have a name.
func sandboxFaultsCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "faults",
		Short: "List the failures that --fault takes, with what happens and what Kaeru makes of it",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all := sandbox.FaultPresets()
			switch output {
			case "table":
				rows := [][]string{{"NAME", "WHAT HAPPENS", "WHAT KAERU MAKES OF IT"}}
				for _, p := range all {
					rows = append(rows, []string{p.Name, p.What, p.Reaction})
				}
				return printRows(cmd.OutOrStdout(), rows)
			case "json":
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(all)
			}
			return fmt.Errorf("--output %q: write table or json", output)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}

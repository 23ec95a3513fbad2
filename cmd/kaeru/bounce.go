// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/kaeru-dev/kaeru/internal/bounce"
)

// bounceLine is what is printed of one recipient of one mail.
type bounceLine struct {
	File       string       `json:"file"`
	Kind       bounce.Kind  `json:"kind"`
	Class      bounce.Class `json:"class,omitempty"`
	Feedback   string       `json:"feedback,omitempty"`
	Recipient  string       `json:"recipient,omitempty"`
	Status     string       `json:"status,omitempty"`
	Diagnostic string       `json:"diagnostic,omitempty"`
	MTA        string       `json:"reportingMTA,omitempty"`
	MessageID  string       `json:"messageID,omitempty"`
	Token      string       `json:"token,omitempty"`
	Reaction   string       `json:"reaction"`
}

func bounceCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "bounce FILE…",
		Short: "Say what a mail server's report is read as, and what follows",
		Long: `Reads mails as they came from the network, - from the standard input, directories with all they hold,
and prints for each recipient what Kaeru reads in them and what it would do. It changes nothing and
needs no cluster.`,
		Example: "  kaeru bounce Maildir/new\n  kaeru bounce -o json - < mail.eml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if output != "table" && output != "json" {
				return fmt.Errorf("--output %q: write table or json", output)
			}
			var lines []bounceLine
			for _, arg := range args {
				more, err := readBounces(cmd.InOrStdin(), arg)
				if err != nil {
					return err
				}
				lines = append(lines, more...)
			}
			if output == "json" {
				e := json.NewEncoder(cmd.OutOrStdout())
				e.SetEscapeHTML(false)
				e.SetIndent("", "  ")
				return e.Encode(lines)
			}
			return printBounces(cmd.OutOrStdout(), lines)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	return cmd
}

func readBounces(stdin io.Reader, arg string) (lines []bounceLine, err error) {
	if arg == "-" {
		return readBounce(arg, stdin)
	}
	err = filepath.WalkDir(arg, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		f, err := os.Open(path) //nolint:gosec // whoever names the directory may read what is in it
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		more, err := readBounce(path, f)
		lines = append(lines, more...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading mails: %w", err)
	}
	return lines, nil
}

func readBounce(name string, r io.Reader) ([]bounceLine, error) {
	report, err := bounce.Read(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	all := bounceLine{
		File: name, Kind: report.Kind, Class: report.Class, Feedback: report.Feedback, MTA: report.ReportingMTA,
		MessageID: report.MessageID, Reaction: string(report.Reaction()),
	}
	if tokens := report.Tokens(); len(tokens) > 0 {
		all.Token = tokens[0]
	}
	if len(report.Recipients) == 0 {
		return []bounceLine{all}, nil
	}
	var lines []bounceLine
	for i := range report.Recipients {
		to, l := &report.Recipients[i], all
		l.Kind, l.Class, l.Recipient, l.Status, l.Diagnostic = to.Kind, to.Class, to.Address, to.Status, to.Diagnostic
		l.Reaction = string(report.ReactionTo(to.Kind, to.Class))
		lines = append(lines, l)
	}
	return lines, nil
}

func printBounces(w io.Writer, lines []bounceLine) error {
	rows := [][]string{{"FILE", "KIND", "CLASS", "STATUS", "RECIPIENT", "REACTION", "DIAGNOSTIC"}}
	for i := range lines {
		l := &lines[i]
		class := string(l.Class)
		if l.Feedback != "" {
			class = l.Feedback
		}
		rows = append(rows, []string{filepath.Base(l.File), string(l.Kind), class, l.Status, l.Recipient, l.Reaction, l.Diagnostic})
	}
	return printRows(w, rows)
}

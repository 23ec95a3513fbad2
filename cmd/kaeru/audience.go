// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/clock"
)

// audienceQuestion is what is asked of a segment.
type audienceQuestion struct {
	namespace, segment string
	// output is table, csv or json.
	output  string
	counts  bool
	sample  int
	at      string
	explain string
}

func audienceCommand() *cobra.Command { return audienceCommandAt(clock.Parse) }

// audienceCommandAt is the command on the clock that its flag is read as.
func audienceCommandAt(parse func(string) (clock.Clock, error)) *cobra.Command {
	var q audienceQuestion
	var dsn, clockText string
	cmd := &cobra.Command{
		Use:   "audience -n NAMESPACE SEGMENT",
		Short: "List the members of a segment, as of its last refresh, or say why somebody is one",
		Example: `  kaeru audience -n shop f2-candidates --counts
  kaeru audience -n shop f2-candidates --sample 5
  kaeru audience -n shop f2-candidates --at 2026-06-30 -o csv
  kaeru audience -n shop f2-candidates --explain c-1042`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			q.segment = args[0]
			if err := q.check(cmd.Flags().Changed); err != nil {
				return err
			}
			clk, err := parse(clockText)
			if err != nil {
				return fmt.Errorf("--clock: %w", err)
			}
			st, err := openStore(cmd.Context(), dsn)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, st.Close()) }()
			return q.answer(cmd, &audience.Refresher{Store: st, Clock: clk})
		},
	}
	f := cmd.Flags()
	f.StringVar(&dsn, "store", os.Getenv(storeVariable), "DSN of the database ($"+storeVariable+")")
	f.StringVarP(&q.namespace, "namespace", "n", "", "namespace of the shop")
	f.StringVarP(&q.output, "output", "o", "table", "table, csv or json")
	f.BoolVar(&q.counts, "counts", false, "only the numbers: members, whom a channel reaches, the last change, the last refresh")
	f.IntVar(&q.sample, "sample", 0, "only so many members, chosen at random")
	f.StringVar(&q.at, "at", "", "who was a member then: a time in RFC 3339, or a day, which means its end in the shop's zone")
	f.StringVar(&q.explain, "explain", "", "how this customer stands with each condition, by id")
	f.StringVar(&clockText, "clock", os.Getenv(clockVariable), "for demos: business time ($"+clockVariable+")")
	return cmd
}

func (q *audienceQuestion) check(given func(flag string) bool) error {
	if q.namespace == "" {
		return errors.New("--namespace is not set: a namespace is a shop, write -n NAMESPACE")
	}
	switch q.output {
	case "table", "csv", "json":
	default:
		return fmt.Errorf("--output %q: write table, csv or json", q.output)
	}
	if given("sample") && q.sample < 1 {
		return fmt.Errorf("--sample %d: write how many members to choose, 1 or more", q.sample)
	}
	for _, flag := range []string{"at", "explain"} {
		if given(flag) && map[string]string{"at": q.at, "explain": q.explain}[flag] == "" {
			return fmt.Errorf("--%s is empty: write %s", flag, map[string]string{"at": "a time such as 2026-01-31", "explain": "the id of a customer"}[flag])
		}
	}
	for _, pair := range [][2]string{{"counts", "explain"}, {"counts", "sample"}, {"counts", "at"}, {"explain", "sample"}, {"explain", "at"}} {
		if given(pair[0]) && given(pair[1]) {
			return fmt.Errorf("--%s and --%s are two questions: ask one at a time", pair[0], pair[1])
		}
	}
	return nil
}

func (q *audienceQuestion) answer(cmd *cobra.Command, r *audience.Refresher) error {
	ctx, w := cmd.Context(), cmd.OutOrStdout()
	if q.explain != "" {
		explanation, err := r.Explain(ctx, q.namespace, q.segment, q.explain)
		if err != nil {
			return err
		}
		return printExplanation(w, explanation, q.output)
	}
	state, known, err := r.State(ctx, q.namespace, q.segment)
	if err != nil {
		return err
	}
	if !known {
		return fmt.Errorf("segment %q of namespace %s was never refreshed: apply it, and see kubectl get segments -n %s", q.segment, q.namespace, q.namespace)
	}
	if q.counts {
		return printCounts(w, q.segment, state, q.output)
	}
	list := memberList{members: r.Members(ctx, q.namespace, q.segment, false), entered: q.sample > 0 || q.at != "", zone: time.UTC}
	which := audience.Selection{Sample: q.sample}
	if q.at != "" {
		if which.At, err = r.Moment(ctx, q.namespace, q.segment, q.at); err != nil {
			return fmt.Errorf("--at: %w", err)
		}
		list.zone = which.At.Location()
	}
	if list.entered {
		list.members = r.Select(ctx, q.namespace, q.segment, which)
	}
	if q.output == "table" {
		if err := q.head(w, cmd, r, state, which.At); err != nil {
			return err
		}
	}
	return list.print(w, q.output)
}

// head is what a table of members begins with: the numbers.
func (q *audienceQuestion) head(w io.Writer, cmd *cobra.Command, r *audience.Refresher, state audience.State, at time.Time) error {
	if at.IsZero() {
		return printRows(w, [][]string{
			{"SEGMENT", q.segment},
			{"MEMBERS", fmt.Sprint(state.Members)},
			{"REACHABLE", fmt.Sprintf("line %d, email %d, sms %d", state.Reach.Line, state.Reach.Email, state.Reach.SMS)},
			{"REFRESHED", state.RefreshedAt.Format(tableTime)},
			{},
		})
	}
	members, err := r.CountAt(cmd.Context(), q.namespace, q.segment, at)
	if err != nil {
		return err
	}
	return printRows(w, [][]string{{"SEGMENT", q.segment}, {"AT", at.Format(tableTime)}, {"MEMBERS", fmt.Sprint(members)}, {}})
}

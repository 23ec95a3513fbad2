// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

// Names of the ceilings.
const (
	goMail    = "go-mail alone"
	pipelined = "mails by hand, pipelined"
	sdk       = "LINE's SDK alone"
)

// ratio is a figure that carries over to other machines, beside its target.
type ratio struct {
	What   string  `json:"what"`
	Value  float64 `json:"value"`
	Target string  `json:"target,omitempty"`
}

type report struct {
	output string
	lines  []measured
}

// add keeps a line, and says on the standard error how far it is.
func (r *report) add(m measured) {
	r.lines = append(r.lines, m)
	fmt.Fprintf(os.Stderr, "%s %s: %d messages by %d, %.0f a second\n", m.Store, m.What, m.Messages, m.Workers, m.Rate)
}

func (r *report) ratios() (out []ratio) {
	alone := map[string]float64{}
	for _, m := range r.lines {
		if m.Store == "" {
			alone[m.What] = m.Rate
		}
	}
	firsts := map[string]measured{}
	for _, m := range r.lines {
		if m.Store == "" {
			continue
		}
		where := fmt.Sprintf("%s, %s, %d by %d", m.Store, m.What, m.Messages, m.Workers)
		switch {
		case m.What == "email" && alone[pipelined] > 0:
			out = append(out, ratio{where + " ÷ pipelined by hand", m.Rate / alone[pipelined], "≥ 0.6"}, ratio{where + " ÷ go-mail", m.Rate / alone[goMail], ""})
		case m.What == "line" && alone[sdk] > 0:
			out = append(out, ratio{where + " ÷ the SDK", m.Rate / alone[sdk], "≥ 0.5"})
		case strings.HasPrefix(m.What, "line,"):
			out = append(out, ratio{where + ": share of a core", m.Cores, "< 0.5"})
		}
		if m.P99 > 0 {
			out = append(out, ratio{where + ": p99 from due to sent, s", float64(m.P99) / 1000, "< 1"})
		}
		out = append(out, ratio{where + ": peak of memory, MB", m.Peak, "< 100"})
		if first, known := firsts[m.Store+m.What]; known {
			out = append(out, ratio{fmt.Sprintf("%s ÷ %d by %d", where, first.Messages, first.Workers), m.Rate / first.Rate, ""})
		} else {
			firsts[m.Store+m.What] = m
		}
	}
	return out
}

func (r *report) end(w io.Writer) error {
	if r.output == "json" {
		out := json.NewEncoder(w)
		out.SetEscapeHTML(false)
		out.SetIndent("", "  ")
		return out.Encode(map[string]any{"measured": r.lines, "ratios": r.ratios()})
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(out, "store\tmessages\tworkers\ta second\tCPU µs\tdatabase µs\tcores\tstatements\tcommits\tKB allocated\tpeak MB\tp50 ms\tp99 ms\tlongest\t  what\t")
	for _, m := range r.lines {
		fmt.Fprintf(out, "%s\t%d\t%d\t%.0f\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t  %s\t\n", m.Store, m.Messages, m.Workers, m.Rate, some("%.0f", m.CPU), some("%.0f", m.DatabaseCPU), some("%.2f", m.Cores),
			some("%.3f", m.Statements), some("%.4f", m.Commits), some("%.1f", m.Allocated), some("%.0f", m.Peak), some("%.0f", float64(m.P50)), some("%.0f", float64(m.P99)), some("%.0f", float64(m.Longest)), m.What)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	out = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, x := range r.ratios() {
		fmt.Fprintf(out, "%s\t%.2f\t%s\n", x.What, x.Value, x.Target)
	}
	return out.Flush()
}

func some(format string, v float64) string {
	if v == 0 {
		return "-"
	}
	return fmt.Sprintf(format, v)
}

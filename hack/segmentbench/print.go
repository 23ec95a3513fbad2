// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// The targets of the tables. Nothing fails when one is missed.
const (
	targetFull   = 1.3
	targetRound  = 0.10
	targetMemory = 300
)

func printJSON(w io.Writer, reports []*storeReport) error {
	type ratios struct {
		Full      summary `json:"full"`
		Refresh   summary `json:"refresh"`
		RoundBase float64 `json:"roundBase"`
		RoundHand float64 `json:"roundMetrics"`
		PeakMB    float64 `json:"peakMB"`
	}
	type stored struct {
		*storeReport
		Ratios ratios `json:"ratios"`
	}
	var out []stored
	for _, s := range reports {
		r := &s.Round
		line := stored{s, ratios{Full: s.ratios((*comparison).ratio), Refresh: s.ratios((*comparison).refreshRatio), PeakMB: r.Memory.peak()}}
		if r.Base > 0 {
			line.Ratios.RoundBase, line.Ratios.RoundHand = (r.Upkeep+r.Round)/r.Base, (r.Upkeep+r.Round)/r.Metrics
		}
		out = append(out, line)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(out)
}

func (s *storeReport) print(w io.Writer) error {
	fmt.Fprintf(w, "\n%s: %d customers, %d orders, %d events\n", s.Store, s.Customers, s.Orders, s.Events)
	if len(s.Settings) > 0 {
		fmt.Fprintf(w, "settings: %s\n", strings.Join(s.Settings, " "))
	}
	if len(s.LeftOut) > 0 {
		fmt.Fprintf(w, "left out, as a condition is not supported yet (%d): %s\n", len(s.LeftOut), strings.Join(s.LeftOut, ", "))
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	s.printFull(t)
	s.printRound(t)
	if err := t.Flush(); err != nil {
		return err
	}
	for _, d := range s.Disagreements {
		fmt.Fprintf(w, "WRONG: %s\n", d)
	}
	return nil
}

func (s *storeReport) printFull(w io.Writer) {
	if len(s.Full) == 0 {
		return
	}
	fmt.Fprintf(w, "\nFull evaluation and the best by hand over the same tables, ms\n\n")
	fmt.Fprintf(w, "segment\tmembers\tcompiled\tby hand\tratio\trefresh\tby hand\tratio\tplanner by hand\t\n")
	for i := range s.Full {
		c := &s.Full[i]
		if !c.Supported {
			fmt.Fprintf(w, "%s\t%d\t-\t%.1f\t-\t-\t-\t-\t%s\t\n", c.Name, c.Members, c.HandTook, c.Hand.Settings)
			continue
		}
		fmt.Fprintf(w, "%s\t%d\t%.1f\t%.1f\t%.2f\t%.1f\t%.1f\t%.2f\t%s\t\n", c.Name, c.Members,
			c.Compiled, c.HandTook, c.ratio(), c.Refresh, c.HandRefresh, c.refreshRatio(), c.Hand.Settings)
	}
	one, other := s.ratios((*comparison).ratio), s.ratios((*comparison).refreshRatio)
	fmt.Fprintf(w, "largest\t\t\t\t%.2f\t\t\t%.2f\t\t\n", one.Largest, other.Largest)
	fmt.Fprintf(w, "geometric mean of %d\t\t\t\t%.2f\t\t\t%.2f\ttarget %.1f\t\n", one.N, one.Mean, other.Mean, targetFull)
}

func (s *storeReport) printRound(w io.Writer) {
	r := &s.Round
	if len(r.Segments) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%d segments by hand, ms, and their members before the churns and after them\n\n", len(r.Segments))
	fmt.Fprintf(w, "segment\tbefore\tafter\tbase tables\tmetrics\tplanner\tplanner\tcandidates\t\t\n")
	for _, line := range r.Segments {
		fmt.Fprintf(w, "%s\t%d\t%d\t%.1f\t%.1f\t%s\t%s\t%d\t%s\t\n", line.Name, line.Members, line.After,
			line.Base.Took, line.Metrics.Took, line.Base.Settings, line.Metrics.Settings, line.Candidates, line.Mode)
	}
	in := 0
	for _, line := range r.Segments {
		if line.Supported {
			in++
		}
	}
	fmt.Fprintf(w, "all %d\t\t\t%.0f\t%.0f\t\t\t\t\t\n", len(r.Segments), r.AllBase, r.AllMetrics)
	fmt.Fprintf(w, "the %d of the round\t\t\t%.0f\t%.0f\t\t\t\t\t\n", in, r.Base, r.Metrics)
	fmt.Fprintf(w, "\nA round of %d segments after %d orders and %d events, ms\n\n", in, r.Orders, r.Events)
	fmt.Fprintf(w, "first refresh of all\t%.0f\t\n", r.First)
	fmt.Fprintf(w, "ingest, whole\t%.0f\t\n", r.Ingest)
	fmt.Fprintf(w, "ingest undone, with upkeep and without\t%.0f\t%.0f\t\n", r.IngestUndone, r.BareUndone)
	fmt.Fprintf(w, "upkeep\t%.0f\t\n", r.Upkeep)
	fmt.Fprintf(w, "round\t%.0f\t(each %.0f)\t\n", r.Round, r.Rounds)
	fmt.Fprintf(w, "\t÷ base tables\t÷ metrics\ttarget\t\n")
	fmt.Fprintf(w, "upkeep and round\t%.3f\t%.3f\t%.2f\t\n", (r.Upkeep+r.Round)/r.Base, (r.Upkeep+r.Round)/r.Metrics, targetRound)
	fmt.Fprintf(w, "whole ingest and round\t%.3f\t%.3f\t\t\n", (r.Ingest+r.Round)/r.Base, (r.Ingest+r.Round)/r.Metrics)
	m := r.Memory
	fmt.Fprintf(w, "\nresident at most, MB\t%.0f\ttarget %d (loading %.0f, full %.0f, first refresh %.0f, ingest and rounds %.0f, by hand %.0f)\t\n",
		m.peak(), targetMemory, m.Load, m.Full, m.First, m.Round, m.Hand)
}

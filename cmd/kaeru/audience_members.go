// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/kaeru-dev/kaeru/internal/audience"
)

const tableTime = "2006-01-02 15:04:05 MST"

// printRows aligns the columns of a table.
func printRows(w io.Writer, rows [][]string) error {
	out := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for _, row := range rows {
		for len(row) > 0 && row[len(row)-1] == "" {
			row = row[:len(row)-1] // nothing is aligned with what ends a line
		}
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = printable(cell)
		}
		if _, err := fmt.Fprintln(out, strings.Join(cells, "\t")); err != nil {
			return err
		}
	}
	return out.Flush()
}

// printable quotes what would not stay in its cell, or could command a terminal: anybody may have
// written what is known of customers.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}

// memberList is members to print. They are streamed: a segment may be larger than memory.
type memberList struct {
	members iter.Seq2[audience.Member, error]
	// entered says to tell when they came in.
	entered bool
	// zone is the one of that in a table.
	zone *time.Location
}

func (l memberList) print(w io.Writer, output string) error {
	switch output {
	case "json":
		return l.printJSON(w)
	case "csv":
		return l.printCSV(w)
	}
	// The ids of most shops are of one length, and a table that waits for the longest would not stream.
	line, head := "%s\n", "ID\n"
	if l.entered {
		line, head = "%-20s   %s\n", fmt.Sprintf("%-20s   %s\n", "ID", "ENTERED")
	}
	if _, err := io.WriteString(w, head); err != nil {
		return err
	}
	for m, err := range l.members {
		if err != nil {
			return err
		}
		cells := []any{printable(m.ID)}
		if l.entered {
			cells = append(cells, m.EnteredAt.In(l.zone).Format(tableTime))
		}
		if _, err := fmt.Fprintf(w, line, cells...); err != nil {
			return err
		}
	}
	return nil
}

func (l memberList) printCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	head := []string{"id"}
	if l.entered {
		head = append(head, "entered_at")
	}
	if err := out.Write(head); err != nil {
		return err
	}
	for m, err := range l.members {
		if err != nil {
			return err
		}
		row := []string{m.ID}
		if l.entered {
			row = append(row, m.EnteredAt.Format(time.RFC3339Nano))
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func (l memberList) printJSON(w io.Writer) error {
	before := "[\n"
	for m, err := range l.members {
		if err != nil {
			return err
		}
		member := struct {
			ID        string     `json:"id"`
			EnteredAt *time.Time `json:"enteredAt,omitempty"`
		}{ID: m.ID}
		if l.entered {
			member.EnteredAt = &m.EnteredAt
		}
		row, err := json.Marshal(member)
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

// segmentCounts is what --counts -o json writes.
type segmentCounts struct {
	Segment     string       `json:"segment"`
	Members     int64        `json:"members"`
	Reachable   reachCounts  `json:"reachable"`
	Entered     int64        `json:"entered"`
	Exited      int64        `json:"exited"`
	ChangedAt   time.Time    `json:"changedAt"`
	LastRefresh refreshFacts `json:"lastRefresh"`
}

type reachCounts struct {
	Line  int64 `json:"line"`
	Email int64 `json:"email"`
	SMS   int64 `json:"sms"`
}

type refreshFacts struct {
	Time       time.Time `json:"time"`
	Mode       string    `json:"mode"`
	Candidates int64     `json:"candidates"`
	Duration   string    `json:"duration"`
}

func printCounts(w io.Writer, segment string, s audience.State, output string) error {
	took := s.Duration.Round(100 * time.Microsecond).String()
	if output == "json" {
		return printJSON(w, segmentCounts{
			Segment: segment, Members: s.Members, Reachable: reachCounts{s.Reach.Line, s.Reach.Email, s.Reach.SMS},
			Entered: s.Entered, Exited: s.Exited, ChangedAt: s.ChangedAt,
			LastRefresh: refreshFacts{s.RefreshedAt, s.Mode, s.Candidates, took},
		})
	}
	count := func(n int64) string { return strconv.FormatInt(n, 10) }
	if output == "csv" {
		out := csv.NewWriter(w)
		if err := out.WriteAll([][]string{
			{"segment", "members", "line", "email", "sms", "entered", "exited", "changed_at", "refreshed_at", "mode", "candidates", "duration"},
			{segment, count(s.Members), count(s.Reach.Line), count(s.Reach.Email), count(s.Reach.SMS), count(s.Entered), count(s.Exited),
				s.ChangedAt.Format(time.RFC3339Nano), s.RefreshedAt.Format(time.RFC3339Nano), s.Mode, count(s.Candidates), took},
		}); err != nil {
			return err
		}
		return out.Error()
	}
	return printRows(w, [][]string{
		{"SEGMENT", segment},
		{"MEMBERS", count(s.Members)},
		{"REACHABLE", fmt.Sprintf("line %d, email %d, sms %d", s.Reach.Line, s.Reach.Email, s.Reach.SMS)},
		{"ENTERED", count(s.Entered)},
		{"EXITED", count(s.Exited)},
		{"CHANGED", s.ChangedAt.Format(tableTime)},
		{"REFRESHED", s.RefreshedAt.Format(tableTime)},
		{"MODE", s.Mode},
		{"CANDIDATES", count(s.Candidates)},
		{"DURATION", took},
	})
}

func printJSON(w io.Writer, v any) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(v)
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/journey"
)

// The marks of rows: as the story says, in the story alone, in the play alone, and of no concern.
const (
	markSame    = "  "
	markMissing = "- "
	markMore    = "+ "
	markOther   = "· "
)

// row is a line of the table that a play is told with.
type row struct {
	mark string
	at   time.Time
	// Where it is not said which scenario or channel it is, these are empty.
	customer, scenario, step, channel string
	what                              string
}

// compare holds what became of messages against the story. It gives nothing where that is what the story
// says, else a table.
func (s *Story) compare(ends []end) string {
	taken := make([]bool, len(ends))
	find := func(fits func(e *end) bool) *end {
		for i := range ends {
			if !taken[i] && fits(&ends[i]) {
				taken[i] = true
				return &ends[i]
			}
		}
		return nil
	}
	var rows []row
	for i := range s.Messages {
		m := &s.Messages[i]
		// Of two that fit, the one that says what it should.
		found := find(func(e *end) bool {
			_, ok := says(e.message, m.Says)
			return ok && m.fits(e)
		})
		if found == nil {
			found = find(m.fits)
		}
		rows = append(rows, m.row(found))
	}
	for i := range s.Skipped {
		k := &s.Skipped[i]
		rows = append(rows, k.row(find(k.fits)))
	}
	for i := range ends {
		if !taken[i] {
			rows = append(rows, s.further(&ends[i]))
		}
	}
	same := !slices.ContainsFunc(rows, func(r row) bool { return r.mark == markMissing || r.mark == markMore })
	if same {
		return ""
	}
	return "(- is what the story says and did not happen, + what happened and the story does not say)\n" + format(rows, s.Begins.Location())
}

func (m *Message) fits(e *end) bool {
	return e.state == dispatch.StateSent && sameMinute(m.At, e.at) && m.To == e.customer && m.Step == e.step && m.Channel == e.kind &&
		(m.Scenario == "" || m.Scenario == e.scenario) && (m.Variant == "" || m.Variant == e.variant)
}

func (m *Message) row(e *end) row {
	if e == nil {
		what := "sent"
		if m.Variant != "" {
			what += ", variant " + m.Variant
		}
		return row{markMissing, m.At, m.To, m.Scenario, m.Step, m.Channel, what}
	}
	if missing, ok := says(e.message, m.Says); !ok {
		return row{markMissing, e.at, e.customer, e.scenario, e.step, e.kind, fmt.Sprintf("says %q; it says: %s", missing, excerpt(e.message))}
	}
	return e.row(markSame)
}

func (k *Skip) fits(e *end) bool {
	return e.state == dispatch.StateSkipped && sameMinute(k.At, e.at) && k.To == e.customer && k.Step == e.step && k.says(e.reason) &&
		(k.Scenario == "" || k.Scenario == e.scenario)
}

// says takes a reason with its detail, such as the value that was missing, and without.
func (k *Skip) says(reason string) bool {
	return reason == k.Reason || strings.HasPrefix(reason, k.Reason+": ")
}

func (k *Skip) row(e *end) row {
	if e == nil {
		return row{markMissing, k.At, k.To, k.Scenario, k.Step, "", dispatch.StateSkipped + ": " + k.Reason}
	}
	return e.row(markSame)
}

// further is a row of what the story does not say.
func (s *Story) further(e *end) row {
	if e.state == dispatch.StateSkipped && (s.Skipped == nil || e.reason == journey.ReasonConditionFalse) {
		return e.row(markOther)
	}
	return e.row(markMore)
}

func (e *end) row(mark string) row {
	what := e.state
	if e.reason != "" {
		what += ": " + e.reason
	}
	if e.variant != "" {
		what += ", variant " + e.variant
	}
	return row{mark, e.at, e.customer, e.scenario, e.step, e.kind, what}
}

// table tells what became of messages.
func table(ends []end, zone *time.Location) string {
	rows := make([]row, len(ends))
	for i := range ends {
		rows[i] = ends[i].row(markSame)
	}
	return format(rows, zone)
}

// format writes rows in the order of their times, as the story's author writes these.
func format(rows []row, zone *time.Location) string {
	slices.SortStableFunc(rows, func(a, b row) int {
		return cmp.Or(a.at.Truncate(time.Minute).Compare(b.at.Truncate(time.Minute)), strings.Compare(a.customer, b.customer), strings.Compare(a.step, b.step))
	})
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintf(w, "%s%s\t%s\t%s\t%s\t%s\t%s\n", r.mark, r.at.In(zone).Format("2006-01-02 15:04 Mon"),
			r.customer, r.scenario, r.step, r.channel, r.what)
	}
	_ = w.Flush() // into memory
	return out.String()
}

func sameMinute(a, b time.Time) bool { return a.Truncate(time.Minute).Equal(b.Truncate(time.Minute)) }

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"

	"github.com/kaeru-dev/kaeru/internal/audience"
)

// widest is how much of a condition or a value stands in a table; csv and json have all of it.
const widest = 90

func printExplanation(w io.Writer, e *audience.Explanation, output string) error {
	switch output {
	case "json":
		return printJSON(w, e)
	case "csv":
		rows, err := conditionRows(e)
		if err != nil {
			return err
		}
		return csv.NewWriter(w).WriteAll(append([][]string{{"place", "condition", "value", "holds"}}, rows...))
	}
	if err := printRows(w, [][]string{{"SEGMENT", e.Segment}, {"CUSTOMER", e.Customer}, {"AT", e.At.Format(tableTime)}, {}}); err != nil {
		return err
	}
	conditions, err := conditionRows(e)
	if err != nil {
		return err
	}
	table := [][]string{{"PLACE", "CONDITION", "VALUE", "VERDICT"}}
	for i, row := range conditions {
		table = append(table, []string{row[0], shortened(row[1]), shortened(row[2]), verdict(e.Conditions[i].Holds)})
	}
	if err := printRows(w, append(table, []string{})); err != nil {
		return err
	}
	table = [][]string{{"LIST", "VERDICT", "DECIDED BY"}}
	for _, list := range e.Lists {
		table = append(table, []string{list.List, verdict(list.Holds), strings.Join(list.By, ", ")})
	}
	table = append(table, []string{"the whole", verdict(e.Holds), ""}, []string{}, []string{"MEMBER", membership(e)}, []string{"REFRESHED", e.RefreshedAt.Format(tableTime)})
	if e.Note != "" {
		table = append(table, []string{"NOTE", e.Note})
	}
	return printRows(w, table)
}

// conditionRows are the place, the condition, the value and whether it holds, one row a condition.
func conditionRows(e *audience.Explanation) ([][]string, error) {
	rows := make([][]string, len(e.Conditions))
	for i, v := range e.Conditions {
		text, err := audience.Flow(&v.Condition)
		if err != nil {
			return nil, err
		}
		rows[i] = []string{v.Place, text, v.Value.String(), fmt.Sprint(v.Holds)}
	}
	return rows, nil
}

func verdict(holds bool) string {
	if holds {
		return "holds"
	}
	return "does not hold"
}

func membership(e *audience.Explanation) string {
	switch {
	case e.Member:
		return "since " + e.Since.Format(tableTime)
	case e.Was != nil:
		return "no, but from " + e.Was.From.Format(tableTime) + " to " + e.Was.To.Format(tableTime)
	}
	return "no, and never since " + e.KeptSince.Format(tableTime)
}

func shortened(text string) string {
	if runes := []rune(text); len(runes) > widest {
		return string(runes[:widest-1]) + "…"
	}
	return text
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"embed"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"text/template"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/money"
	"github.com/kaeru-dev/kaeru/internal/schedule"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// kindFiles say of each kind of question what a Segment's match is, and how one would ask the
// database by hand; and which segments there are of that kind.
//
//go:embed kinds/*.yaml
var kindFiles embed.FS

type kind struct {
	Kind  string `json:"kind"`
	Match string `json:"match"`
	// Base are statements over the tables of facts, and Metrics over the metrics as well, each another
	// way of asking. They are Go templates over the values of a segment. Without Metrics they are Base.
	Base    []string         `json:"base"`
	Metrics []string         `json:"metrics"`
	With    []map[string]any `json:"with"`
}

// question is a segment, and its statements by hand.
type question struct {
	kind *kind
	// first says that it is the first of its kind.
	first  bool
	name   string
	match  v1alpha1.Match
	values map[string]any
}

func questions() ([]question, error) {
	files, err := kindFiles.ReadDir("kinds")
	if err != nil {
		return nil, err
	}
	var out []question
	for _, file := range files {
		text, err := kindFiles.ReadFile(path.Join("kinds", file.Name()))
		if err != nil {
			return nil, err
		}
		var kinds []kind
		// Numbers stay as they are written.
		if err := yaml.UnmarshalStrict(text, &kinds, func(d *json.Decoder) *json.Decoder { d.UseNumber(); return d }); err != nil {
			return nil, fmt.Errorf("%s: %w", file.Name(), err)
		}
		for i := range kinds {
			of, err := kinds[i].questions()
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", file.Name(), kinds[i].Kind, err)
			}
			out = append(out, of...)
		}
	}
	return out, nil
}

func (k *kind) questions() ([]question, error) {
	if len(k.Metrics) == 0 {
		k.Metrics = k.Base
	}
	var out []question
	for i, values := range k.With {
		q := question{kind: k, first: i == 0, values: values}
		if q.name, _ = values["name"].(string); q.name == "" {
			return nil, fmt.Errorf("segment %d has no name", i+1)
		}
		text, err := q.render(k.Match, today, store.Postgres)
		if err != nil {
			return nil, err
		}
		if err := yaml.UnmarshalStrict([]byte(text), &q.match); err != nil {
			return nil, fmt.Errorf("the match of %s: %w: %s", q.name, err, text)
		}
		out = append(out, q)
	}
	return out, nil
}

// statements are the ways of asking at a time.
func (q *question) statements(templates []string, now time.Time, dialect store.Dialect) ([]string, error) {
	var out []string
	for _, text := range templates {
		statement, err := q.render(text, now, dialect)
		if err != nil {
			return nil, err
		}
		if statement = strings.TrimSpace(statement); statement != "" {
			out = append(out, statement)
		}
	}
	return out, nil
}

func (q *question) render(text string, now time.Time, dialect store.Dialect) (string, error) {
	moment := func(sign time.Duration) func(string) (int64, error) {
		return func(d string) (int64, error) {
			length, err := schedule.ParseDuration(d)
			return store.Millis(now.Add(sign * length)), err
		}
	}
	t, err := template.New(q.name).Option("missingkey=error").Funcs(template.FuncMap{
		"now":   func() int64 { return store.Millis(now) },
		"ago":   moment(-1),
		"ahead": moment(1),
		"millis": func(d string) (int64, error) {
			length, err := schedule.ParseDuration(d)
			return length.Milliseconds(), err
		},
		"amount": func(n json.Number) (int64, error) {
			units, err := n.Int64()
			return units * int64(money.Unit), err
		},
		// list and quoted are the same list, in YAML and in SQL.
		"list": func(values []any) (string, error) {
			text, err := json.Marshal(values)
			return string(text), err
		},
		"quoted": func(values []any) string {
			texts := make([]string, len(values))
			for i, v := range values {
				texts[i] = fmt.Sprintf("'%v'", v)
			}
			return strings.Join(texts, ", ")
		},
		"postgres": func() bool { return dialect == store.Postgres },
	}).Parse(text)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	if err := t.Execute(&out, q.values); err != nil {
		return "", err
	}
	return out.String(), nil
}

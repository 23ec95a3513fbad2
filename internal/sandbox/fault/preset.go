// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxSpec bounds what is read as a preset.
const maxSpec = 1024

// settings are what a preset can be narrowed with, and what they set.
var settings = map[string]func(*Rule, string) error{
	"to":          func(r *Rule, v string) error { r.Match.To = v; return nil },
	"once":        func(r *Rule, v string) (err error) { r.Match.Once, err = strconv.ParseBool(v); return err },
	"skip":        func(r *Rule, v string) (err error) { r.Match.Skip, err = strconv.Atoi(v); return err },
	"every":       func(r *Rule, v string) (err error) { r.Match.Every, err = strconv.Atoi(v); return err },
	"count":       func(r *Rule, v string) (err error) { r.Match.Count, err = strconv.Atoi(v); return err },
	"probability": func(r *Rule, v string) (err error) { r.Match.Probability, err = strconv.ParseFloat(v, 64); return err },
	"delay":       func(r *Rule, v string) error { return r.Effect.Delay.parse(v) },
	"answerDelay": func(r *Rule, v string) error { return r.Effect.AnswerDelay.parse(v) },
}

// Parse reads a preset's name, narrowed or not: line-500, or line-500:count=3,to=U0*. The rule is
// named as it is written.
func Parse(spec string) (Rule, error) {
	if len(spec) > maxSpec {
		return Rule{}, fmt.Errorf("a fault of %d characters is too long: write at most %d", len(spec), maxSpec)
	}
	name, narrowed, _ := strings.Cut(strings.TrimSpace(spec), ":")
	all := Presets()
	at := slices.IndexFunc(all, func(p Preset) bool { return p.Name == name })
	if at < 0 {
		return Rule{}, fmt.Errorf("fault %q does not exist: `kaeru sandbox faults` lists them%s", name, nearest(name, all))
	}
	p := all[at]
	r := Rule{ID: strings.TrimSpace(spec), Provider: p.Provider, Operation: p.Operation, Match: p.match, Effect: p.effect}
	if narrowed != "" {
		for _, part := range strings.Split(narrowed, ",") {
			key, value, found := strings.Cut(part, "=")
			set := settings[key]
			if set == nil || !found {
				return Rule{}, fmt.Errorf("fault %s: %q: write key=value with one of %s", name, part, keys())
			}
			if err := set(&r, value); err != nil {
				return Rule{}, fmt.Errorf("fault %s: %s=%q: %s", name, key, value, expected[key])
			}
		}
	}
	if err := r.Validate(); err != nil {
		return Rule{}, fmt.Errorf("fault %s: %w", name, err)
	}
	return r, nil
}

var expected = map[string]string{
	"once": "write true or false", "skip": "write a whole number", "every": "write a whole number", "count": "write a whole number",
	"probability": "write a number from 0 to 1", "delay": "write a time like 250ms or 3s", "answerDelay": "write a time like 250ms or 3s",
}

func keys() string {
	var out []string
	for key := range settings {
		out = append(out, key)
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// nearest names those that begin alike.
func nearest(name string, all []Preset) string {
	group, _, _ := strings.Cut(name, "-")
	var like []string
	for _, p := range all {
		if g, _, _ := strings.Cut(p.Name, "-"); g == group {
			like = append(like, p.Name)
		}
	}
	if len(like) == 0 {
		return ""
	}
	return "; of " + group + " there are " + strings.Join(like, ", ")
}

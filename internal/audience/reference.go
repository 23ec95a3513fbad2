// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"slices"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
)

// References are the segments that a spec asks for membership of, sorted, each once.
func References(spec *v1alpha1.SegmentSpec) []string {
	var names []string
	add := func(conditions []v1alpha1.Condition) {
		for i := range conditions {
			if ref := conditions[i].Segment; ref != nil {
				names = append(names, string(ref.Name))
			}
		}
	}
	for _, list := range [][]v1alpha1.NestedCondition{spec.Match.All, spec.Match.Any, spec.Match.None} {
		for i := range list {
			add([]v1alpha1.Condition{list[i].Condition})
			add(list[i].AnyOf)
			add(list[i].AllOf)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Cycle finds a way from a segment back to itself along References, as Circle does.
func Cycle(name string, specs map[string]*v1alpha1.SegmentSpec) []string {
	return Circle(name, func(at string) []string {
		if specs[at] == nil {
			return nil
		}
		return References(specs[at])
	})
}

// Circle finds a way from a name back to itself along what each refers to: the name, those between, the
// name again. It is nil where there is none. A name that only refers to others in a circle is in none.
func Circle(name string, references func(string) []string) []string {
	visited := make(map[string]bool)
	var walk func(at string, path []string) []string
	walk = func(at string, path []string) []string {
		if visited[at] {
			return nil
		}
		visited[at] = true
		for _, next := range references(at) {
			if next == name {
				return append(path, name)
			}
			if found := walk(next, append(slices.Clip(path), next)); found != nil {
				return found
			}
		}
		return nil
	}
	return walk(name, []string{name})
}

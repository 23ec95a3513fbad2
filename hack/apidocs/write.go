// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"sort"
	"strings"
)

// foreign are the types of other packages by the names that a reader of a manifest knows.
var foreign = map[string]string{
	"metav1.ObjectMeta":           "[ObjectMeta](https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/)",
	"metav1.Condition":            "[Condition](https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/condition/)",
	"metav1.Time":                 "time",
	"metav1.MicroTime":            "time",
	"intstr.IntOrString":          "integer or string",
	"apiextensionsv1.JSON":        "any",
	"runtime.RawExtension":        "object",
	"corev1.ResourceRequirements": "[ResourceRequirements](https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#resources)",
	"corev1.Toleration":           "[Toleration](https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#scheduling)",
	"bool":                        "boolean",
	"int32":                       "integer",
	"int64":                       "integer",
}

// write writes the kinds in the order of their names, each followed by the types it is the first to reach.
func write(out io.Writer, types map[string]*apiType) {
	fmt.Fprint(out, `<!-- Made by make generate from api/v1alpha1: edit the comments there. -->

# API reference: crm.kaeru.dev/v1alpha1

`)
	var queue []string
	for name, t := range types {
		if t.kind {
			queue = append(queue, name)
		}
	}
	sort.Strings(queue)
	for _, name := range queue {
		fmt.Fprintf(out, "- [%s](%s)\n", name, anchor(name))
	}
	seen := map[string]bool{}
	for _, kind := range queue {
		writeTree(out, types, kind, seen)
	}
}

// writeTree writes a type and then those of its fields, breadth first: what is near in a manifest is near here.
func writeTree(out io.Writer, types map[string]*apiType, root string, seen map[string]bool) {
	for queue := []string{root}; len(queue) > 0; queue = queue[1:] {
		t, ok := types[queue[0]]
		if !ok || seen[t.name] {
			continue
		}
		seen[t.name] = true
		fmt.Fprintf(out, "\n## %s\n\n%s\n", t.name, prose(t.doc))
		if t.under != "" {
			writeScalar(out, types, t)
			queue = append(queue, element(t.under))
			continue
		}
		fields := flatten(types, t)
		fmt.Fprint(out, "\n| field | type | |\n|---|---|---|\n")
		for _, f := range fields {
			writeField(out, types, f)
			queue = append(queue, element(f.typ))
		}
		if messages := rules(t.markers); len(messages) > 0 {
			fmt.Fprint(out, "\nRules:\n\n")
			for _, m := range messages {
				fmt.Fprintf(out, "- %s\n", m)
			}
		}
	}
}

// flatten puts the fields of embedded structs in their place.
func flatten(types map[string]*apiType, t *apiType) (fields []field) {
	for _, f := range t.fields {
		if !f.inline {
			fields = append(fields, f)
		} else if embedded, ok := types[f.typ]; ok {
			fields = append(fields, flatten(types, embedded)...)
		}
	}
	return fields
}

func writeScalar(out io.Writer, types map[string]*apiType, t *apiType) {
	fmt.Fprintf(out, "\n%s", link(types, t.under))
	for _, words := range append(limits(t.markers), rules(t.markers)...) {
		fmt.Fprintf(out, "; %s", words)
	}
	fmt.Fprintln(out)
}

func writeField(out io.Writer, types map[string]*apiType, f field) {
	var notes []string
	for _, m := range f.markers {
		if m == "required" || m == "kubebuilder:validation:Required" {
			notes = append(notes, "required")
		}
	}
	notes = append(notes, limits(f.markers)...)
	notes = append(notes, rules(f.markers)...)
	text := strings.ReplaceAll(strings.ReplaceAll(prose(f.doc), "\n", " "), "|", `\|`)
	if len(notes) > 0 {
		text += " *(" + strings.Join(notes, "; ") + ")*"
	}
	fmt.Fprintf(out, "| `%s` | %s | %s |\n", f.json, link(types, f.typ), strings.TrimSpace(text))
}

// element is the type at the bottom of lists and maps.
func element(typ string) string {
	if i := strings.LastIndex(typ, "]"); i >= 0 {
		return typ[i+1:]
	}
	return typ
}

func link(types map[string]*apiType, typ string) string {
	switch name := element(typ); {
	case strings.HasPrefix(typ, "[]"):
		return "list of " + link(types, typ[2:])
	case strings.HasPrefix(typ, "map["):
		return "map of " + link(types, name)
	case types[name] != nil:
		return "[" + name + "](" + anchor(name) + ")"
	case foreign[name] != "":
		return foreign[name]
	default:
		return name
	}
}

// prose keeps a placeholder such as <name> from being taken for HTML.
func prose(doc string) string { return strings.ReplaceAll(doc, "<", "&lt;") }

func anchor(name string) string { return "#" + strings.ToLower(name) }

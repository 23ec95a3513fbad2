// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/html"

	"github.com/kaeru-dev/kaeru/internal/content/liquid"
)

// maxMatches bounds the work of inlining: elements times selectors.
const maxMatches = 5_000_000

// inlineStyles writes the rules of <style> into the elements that they are for, since mail clients drop
// <style> in part or as a whole. The source is changed where an attribute is written and nowhere else: what
// templates, Outlook's comments and hand-written markup say stays as it was. <style> stays too, for
// @media and :hover, whose declarations become important, or those of the elements would win.
//
// An element whose attributes or class stand in a tag of the template's is not known before the mail is
// rendered, and left to <style>. So is a <style data-embed>, or one with a {% tag in it.
func inlineStyles(source string) (string, error) {
	if !strings.Contains(asciiLower(source), "<style") {
		return source, nil
	}
	m := mask(source)
	elements := m.elements()
	var edits []edit
	var rules []rule
	for i := range elements {
		if e := &elements[i]; e.name == "style" && m.inlinable(e) {
			at := e.end
			end := at + endTag(m.text[at:], "style")
			for _, r := range readSheet(m.text[at:end], source[at:end]) {
				rules = append(rules, r)
				edits = append(edits, emphasise(at, &r)...)
			}
		}
	}
	selectors := 0
	for i := range rules {
		selectors += len(rules[i].selectors)
	}
	if selectors == 0 {
		return source, nil
	}
	if selectors*len(elements) > maxMatches {
		return "", &Error{Field: "html", Message: fmt.Sprintf("%d elements and %d selectors of CSS are too many to write into the elements: write <style data-embed> to leave them there", len(elements), selectors)}
	}
	matched, err := m.match(elements, rules)
	if err != nil {
		return "", err
	}
	for i, of := range matched {
		if len(of) > 0 {
			edits = append(edits, elements[i].styleEdit(source, of))
		}
	}
	return apply(source, edits), nil
}

// edit replaces a part of the source.
type edit struct {
	liquid.Span
	text string
}

func apply(source string, edits []edit) string {
	slices.SortStableFunc(edits, func(a, b edit) int { return a.Start - b.Start })
	var b strings.Builder
	at := 0
	for _, e := range edits {
		b.WriteString(source[at:e.Start])
		b.WriteString(e.text)
		at = e.End
	}
	b.WriteString(source[at:])
	return b.String()
}

// emphasise makes what stays in <style> win over what is written into the elements.
func emphasise(at int, r *rule) []edit {
	if !r.conditional && !r.dynamic {
		return nil
	}
	var out []edit
	for _, d := range r.declarations {
		if !d.important {
			out = append(out, edit{liquid.Span{Start: at + d.end, End: at + d.end}, " !important"})
		}
	}
	return out
}

// weighted is a declaration of a rule that an element matches.
type weighted struct {
	declaration
	rule int
}

// match finds the declarations for each element, weakest first.
func (m *masked) match(elements []element, rules []rule) ([][]weighted, error) {
	root, err := html.Parse(strings.NewReader(m.marked(elements)))
	if err != nil {
		return nil, &Error{Field: "html", Message: "its elements are nested too deep for CSS to be written into them: write <style data-embed> to leave it there"}
	}
	out := make([][]weighted, len(elements))
	for n := range root.Descendants() {
		i := markOf(n)
		if i < 0 || i >= len(out) || out[i] != nil || elements[i].style.unknown || unstyled[elements[i].name] {
			continue
		}
		out[i] = m.declarations(n, rules)
	}
	return out, nil
}

// unstyled elements are not shown.
var unstyled = map[string]bool{"head": true, "title": true, "meta": true, "link": true, "base": true, "style": true, "script": true}

func (m *masked) declarations(n *html.Node, rules []rule) []weighted {
	type match struct {
		rule        int
		specificity [3]int
	}
	var found []match
	for i := range rules {
		if rules[i].conditional {
			continue
		}
		best, any := [3]int{}, false
		for _, s := range rules[i].selectors {
			if s.Match(n) {
				if w := [3]int(s.Specificity()); !any || slices.Compare(w[:], best[:]) > 0 {
					best = w
				}
				any = true
			}
		}
		if any {
			found = append(found, match{i, best})
		}
	}
	slices.SortStableFunc(found, func(a, b match) int { return slices.Compare(a.specificity[:], b.specificity[:]) })
	out := []weighted{}
	for _, f := range found {
		for _, d := range rules[f.rule].declarations {
			out = append(out, weighted{d, f.rule})
		}
	}
	return winners(out)
}

// winners leaves out what a stronger rule says again. One rule may say a thing twice, for clients that
// do not understand the second.
func winners(all []weighted) []weighted {
	strongest := map[string]int{}
	for i, d := range all {
		key := d.property
		if d.important {
			key += "!"
		}
		strongest[key] = i
	}
	out := []weighted{}
	for _, d := range all {
		key := d.property
		if d.important {
			key += "!"
		}
		if last := all[strongest[key]]; last.rule == d.rule {
			out = append(out, d)
		}
	}
	return out
}

const markName = "data-kaeru-element"

// marked is the text with a number in each element. Tags between elements become space: in a table a text
// would be moved elsewhere.
func (m *masked) marked(elements []element) string {
	var edits []edit
	next := 0
	for i, e := range elements {
		for ; next < len(m.tags) && m.tags[next].Start < e.end; next++ {
			if t := m.tags[next]; t.Start < e.start {
				edits = append(edits, edit{t, " "})
			}
		}
		edits = append(edits, edit{liquid.Span{Start: e.head, End: e.head}, " " + markName + "=" + strconv.Itoa(i) + " "})
	}
	return apply(m.text, edits)
}

func markOf(n *html.Node) int {
	for _, a := range n.Attr {
		if a.Key == markName && n.Type == html.ElementNode {
			if i, err := strconv.Atoi(a.Val); err == nil {
				return i
			}
		}
	}
	return -1
}

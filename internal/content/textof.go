// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// textOf makes the template of a mail's plain text from that of its HTML: blocks become lines,
// addresses follow their words, pictures are their descriptions, and what is not shown is left out.
func textOf(source string) string {
	h := hide(source)
	w := &textWriter{source: h}
	z := html.NewTokenizer(strings.NewReader(h.source))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return tidy(h.show(w.b.String()))
		case html.TextToken:
			w.text(string(z.Text()))
		case html.StartTagToken:
			w.start(z.Token())
		case html.SelfClosingTagToken:
			t := z.Token()
			w.start(t)
			w.end(t.DataAtom)
		case html.EndTagToken:
			w.end(z.Token().DataAtom)
		}
	}
}

type textWriter struct {
	source  *hidden
	b       strings.Builder
	pending string // white space that is due before the next text
	hidden  []atom.Atom
	href    string
	linkAt  int
}

// void elements have no end tag.
var void = map[atom.Atom]bool{
	atom.Area: true, atom.Base: true, atom.Br: true, atom.Col: true, atom.Embed: true, atom.Hr: true, atom.Img: true,
	atom.Input: true, atom.Link: true, atom.Meta: true, atom.Source: true, atom.Wbr: true,
}

// gaps is what stands around an element.
var gaps = map[atom.Atom]string{
	atom.P: "\n\n", atom.H1: "\n\n", atom.H2: "\n\n", atom.H3: "\n\n", atom.H4: "\n\n", atom.H5: "\n\n", atom.H6: "\n\n",
	atom.Ul: "\n\n", atom.Ol: "\n\n", atom.Blockquote: "\n\n", atom.Pre: "\n\n", atom.Table: "\n", atom.Hr: "\n",
	atom.Div: "\n", atom.Tr: "\n", atom.Li: "\n", atom.Section: "\n", atom.Article: "\n", atom.Header: "\n",
	atom.Footer: "\n", atom.Address: "\n", atom.Dl: "\n", atom.Dt: "\n", atom.Dd: "\n", atom.Center: "\n", atom.Main: "\n",
	atom.Td: " ", atom.Th: " ",
}

func (w *textWriter) start(t html.Token) {
	if len(w.hidden) > 0 || isHidden(t) {
		if !void[t.DataAtom] {
			w.hidden = append(w.hidden, t.DataAtom)
		}
		return
	}
	w.gap(gaps[t.DataAtom])
	switch t.DataAtom {
	case atom.Br:
		w.flush()
		w.b.WriteString("\n")
	case atom.Hr:
		w.text("----")
		w.gap("\n")
	case atom.Li:
		w.text("- ")
	case atom.Img:
		w.text(attribute(t, "alt"))
	case atom.A:
		w.flush()
		w.href, w.linkAt = attribute(t, "href"), w.b.Len()
	}
}

func (w *textWriter) end(a atom.Atom) {
	if len(w.hidden) > 0 {
		// What was left open inside is closed with what it is in.
		for i := len(w.hidden) - 1; i >= 0; i-- {
			if w.hidden[i] == a {
				w.hidden = w.hidden[:i]
				break
			}
		}
		return
	}
	if a == atom.A {
		w.endLink()
	}
	w.gap(gaps[a])
}

func (w *textWriter) endLink() {
	href := strings.TrimSpace(w.href)
	w.href = ""
	if href == "" || strings.HasPrefix(href, "#") {
		return
	}
	words := strings.TrimSpace(w.b.String()[w.linkAt:])
	switch {
	case w.source.show(words) == w.source.show(href), words == strings.TrimPrefix(href, "mailto:"), words == strings.TrimPrefix(href, "tel:"):
	case words == "":
		w.text(href)
	default:
		w.b.WriteString(" (" + href + ")")
	}
}

// text writes words, with white space as a browser shows it.
func (w *textWriter) text(s string) {
	if len(w.hidden) > 0 || s == "" {
		return
	}
	s = strings.ReplaceAll(s, "\u00a0", " ")
	words := strings.Fields(s)
	if len(words) == 0 {
		w.gap(" ")
		return
	}
	if strings.TrimLeft(s, " \t\r\n\f") != s {
		w.gap(" ")
	}
	w.flush()
	w.b.WriteString(strings.Join(words, " "))
	if strings.TrimRight(s, " \t\r\n\f") != s {
		w.gap(" ")
	}
}

// gap asks for white space; of several, the largest is written.
func (w *textWriter) gap(g string) {
	if rank(g) > rank(w.pending) {
		w.pending = g
	}
}

func rank(g string) int {
	if g == " " {
		return 1
	}
	return 2 * len(g)
}

func (w *textWriter) flush() {
	if w.b.Len() > 0 {
		w.b.WriteString(w.pending)
	}
	w.pending = ""
}

func isHidden(t html.Token) bool {
	switch t.DataAtom {
	case atom.Head, atom.Style, atom.Script, atom.Title, atom.Template, atom.Noscript:
		return true
	}
	style := strings.ToLower(strings.ReplaceAll(attribute(t, "style"), " ", ""))
	return strings.Contains(style, "display:none")
}

func attribute(t html.Token, name string) string {
	for _, a := range t.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// tidy takes away blank space at the ends of lines, and more than one empty line.
func tidy(s string) string {
	if !strings.Contains(s, " \n") && !strings.Contains(s, "\n ") && !strings.Contains(s, "\n\n\n") && !strings.Contains(s, "\r") {
		return strings.TrimSpace(s)
	}
	var b strings.Builder
	b.Grow(len(s))
	empty := 0
	for line := range strings.SplitSeq(s, "\n") {
		line = strings.TrimSpace(line)
		if line == "" {
			empty++
			continue
		}
		if b.Len() > 0 {
			b.WriteString("\n\n"[:min(empty+1, 2)])
		}
		empty = 0
		b.WriteString(line)
	}
	return b.String()
}

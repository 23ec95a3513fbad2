// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"regexp"
	"strings"

	"github.com/andybalholm/cascadia"
	"github.com/tdewolff/parse/v2"
	"github.com/tdewolff/parse/v2/css"
)

// rule is a part of a style sheet: selectors with their declarations.
type rule struct {
	selectors []cascadia.Sel
	// dynamic says that no selector can be matched now, such as a:hover.
	dynamic bool
	// conditional says that it stands inside of @media or the like.
	conditional  bool
	declarations []declaration
}

// declaration is property: value. end is where its value ends in the sheet.
type declaration struct {
	property, value string
	important       bool
	end             int
}

// sheetReader reads a style sheet, which need not be right: what it does not understand it goes over,
// as mail clients do.
type sheetReader struct {
	tokens []cssToken
	at     int
	rules  []rule
}

// cssToken has its text as it was written, and where it ends.
type cssToken struct {
	kind css.TokenType
	text string
	end  int
}

// readSheet reads a sheet whose template tags are covered; written is the same with them.
func readSheet(covered, written string) []rule {
	r := &sheetReader{}
	lexer := css.NewLexer(parse.NewInputString(covered))
	at := 0
	for {
		kind, data := lexer.Next()
		if kind == css.ErrorToken {
			break
		}
		r.tokens = append(r.tokens, cssToken{kind, written[at : at+len(data)], at + len(data)})
		at += len(data)
	}
	r.block(false, 0)
	return r.rules
}

// conditionalGroups hold rules that are none always.
var conditionalGroups = map[string]bool{"@media": true, "@supports": true, "@container": true, "@layer": true, "@document": true}

// maxGroups is how deep groups of rules may be nested.
const maxGroups = 8

// block reads rules up to the brace that closes them.
func (r *sheetReader) block(conditional bool, depth int) {
	for r.at < len(r.tokens) {
		switch t := r.tokens[r.at]; t.kind {
		case css.RightBraceToken:
			if r.at++; depth > 0 {
				return
			}
		case css.WhitespaceToken, css.CommentToken, css.CDOToken, css.CDCToken, css.SemicolonToken:
			r.at++
		case css.AtKeywordToken:
			name := strings.ToLower(t.text)
			if _, opened := r.prelude(true); !opened {
				continue
			}
			if conditionalGroups[name] && depth < maxGroups {
				r.block(true, depth+1)
			} else {
				r.skip()
			}
		default:
			selectors, opened := r.prelude(false)
			if opened {
				r.rule(selectors, conditional)
			}
		}
	}
}

// prelude reads up to the brace that opens a block, which it goes over.
func (r *sheetReader) prelude(at bool) (text string, opened bool) {
	var b strings.Builder
	for ; r.at < len(r.tokens); r.at++ {
		switch t := r.tokens[r.at]; {
		case t.kind == css.LeftBraceToken:
			r.at++
			return b.String(), true
		case t.kind == css.SemicolonToken && at, t.kind == css.RightBraceToken:
			return "", false
		case t.kind != css.CommentToken:
			b.WriteString(t.text)
		}
	}
	return "", false
}

// skip goes over a block that was opened.
func (r *sheetReader) skip() {
	for depth := 1; r.at < len(r.tokens) && depth > 0; r.at++ {
		switch r.tokens[r.at].kind {
		case css.LeftBraceToken:
			depth++
		case css.RightBraceToken:
			depth--
		}
	}
}

func (r *sheetReader) rule(selectors string, conditional bool) {
	out := rule{conditional: conditional}
	out.selectors, out.dynamic = readSelectors(selectors)
	out.declarations = r.declarations()
	r.rules = append(r.rules, out)
}

// declarations reads up to the brace that closes them.
func (r *sheetReader) declarations() []declaration {
	var out []declaration
	start, depth := r.at, 0
	flush := func() {
		if d, ok := readDeclaration(r.tokens[start:r.at]); ok {
			out = append(out, d)
		}
	}
	for ; r.at < len(r.tokens); r.at++ {
		switch r.tokens[r.at].kind {
		case css.LeftBraceToken: // a rule inside of a rule
			r.at++
			r.skip()
			r.at--
			start = r.at + 1
		case css.RightBraceToken:
			flush()
			r.at++
			return out
		case css.LeftParenthesisToken, css.FunctionToken:
			depth++
		case css.RightParenthesisToken:
			depth = max(depth-1, 0)
		case css.SemicolonToken:
			if depth == 0 {
				flush()
				start = r.at + 1
			}
		}
	}
	flush()
	return out
}

var propertyName = regexp.MustCompile(`^-?[a-zA-Z][a-zA-Z-]*$`)

func readDeclaration(tokens []cssToken) (declaration, bool) {
	var name, value strings.Builder
	d, colon := declaration{}, false
	for _, t := range tokens {
		switch {
		case t.kind == css.CommentToken:
		case !colon && t.kind == css.ColonToken:
			colon = true
		case !colon:
			name.WriteString(t.text)
		default:
			value.WriteString(t.text)
			if t.kind != css.WhitespaceToken {
				d.end = t.end
			}
		}
	}
	d.property = strings.ToLower(strings.TrimSpace(name.String()))
	d.value = strings.TrimSpace(value.String())
	if i := strings.LastIndexByte(d.value, '!'); i >= 0 && strings.EqualFold(strings.TrimSpace(d.value[i+1:]), "important") {
		d.important, d.value = true, strings.TrimSpace(d.value[:i])
	}
	if !strings.Contains(d.value, "{{") {
		d.value = strings.Join(strings.Fields(d.value), " ") // an attribute has no use for its lines
	}
	return d, propertyName.MatchString(d.property) && d.value != ""
}

// dynamicState are selectors that depend on what the reader does, or on parts that no element is.
var dynamicState = regexp.MustCompile(`(?i)::|:(hover|active|focus|visited|target|checked|disabled|enabled|before|after|first-line|first-letter)`)

// readSelectors reads a list of selectors, without those that cannot be matched in a mail at rest. One
// for all elements is left out too: it would be written into each of them.
func readSelectors(list string) (out []cascadia.Sel, dynamic bool) {
	dynamic = true
	for _, text := range splitSelectors(list) {
		text = strings.TrimSpace(text)
		if dynamicState.MatchString(text) {
			continue
		}
		dynamic = false
		if text == "" || strings.HasSuffix(text, "*") {
			continue
		}
		if s, err := cascadia.Parse(text); err == nil {
			out = append(out, s)
		}
	}
	return out, dynamic
}

// splitSelectors splits at the commas between selectors.
func splitSelectors(list string) []string {
	var out []string
	start, depth, quote := 0, 0, byte(0)
	for i := range len(list) {
		switch c := list[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '(' || c == '[':
			depth++
		case c == ')' || c == ']':
			depth--
		case c == ',' && depth == 0:
			out = append(out, list[start:i])
			start = i + 1
		}
	}
	return append(out, list[start:])
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package liquid

import (
	"fmt"
	"strings"
)

// What the library compiles to closures cannot be looked into. So that unknown names are found
// before anything is sent, expressions are read a second time here, only as far as that needs.

type lexeme struct {
	kind  lexemeKind
	text  string // without quotes, dot or colon
	start int
}

type lexemeKind byte

const (
	lexName     lexemeKind = iota // customer
	lexProperty                   // .first_name
	lexKeyword                    // default:
	lexString
	lexNumber
	lexOperator // == != < > <= >= and or contains in
	lexRange    // ..
	lexMark     // | , [ ] ( ) =
)

// lex follows the library's scanner; what that would not know either is an error.
func lex(source string) ([]lexeme, error) {
	var out []lexeme
	for i := 0; i < len(source); {
		start, c := i, source[i]
		add := func(kind lexemeKind, text string) { out = append(out, lexeme{kind, text, start}) }
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			i++
		case c == '"' || c == '\'':
			end := strings.IndexByte(source[i+1:], c)
			if end < 0 {
				return nil, fmt.Errorf("a string is not closed in %q", source)
			}
			add(lexString, source[i+1:i+1+end])
			i += end + 2
		case isDigit(c), c == '-' && i+1 < len(source) && isDigit(source[i+1]):
			for i++; i < len(source) && isDigit(source[i]); i++ {
			}
			if i+1 < len(source) && source[i] == '.' && isDigit(source[i+1]) {
				for i++; i < len(source) && isDigit(source[i]); i++ {
				}
			}
			if i-start > 18 {
				return nil, fmt.Errorf("the number %s is too long", source[start:i])
			}
			add(lexNumber, source[start:i])
		case isLetter(c):
			i = nameEnd(source, i)
			switch word := source[start:i]; {
			case word == "and", word == "or", word == "contains", word == "in":
				add(lexOperator, word)
			case i < len(source) && source[i] == ':':
				i++
				add(lexKeyword, word)
			default:
				add(lexName, word)
			}
		case strings.HasPrefix(source[i:], ".."):
			i += 2
			add(lexRange, "..")
		case c == '.' && i+1 < len(source) && isLetter(source[i+1]):
			i = nameEnd(source, i+1)
			add(lexProperty, source[start+1:i])
		case i+1 < len(source) && source[i+1] == '=' && strings.IndexByte("=!<>", c) >= 0:
			i += 2
			add(lexOperator, source[start:i])
		case c == '<' || c == '>':
			i++
			add(lexOperator, source[start:i])
		case strings.IndexByte("|,[]()=", c) >= 0:
			i++
			add(lexMark, source[start:i])
		default:
			return nil, fmt.Errorf("%q is not understood at %q", source, source[i:])
		}
	}
	return out, nil
}

func nameEnd(s string, i int) int {
	for ; i < len(s) && (isLetter(s[i]) || isDigit(s[i]) || s[i] == '-'); i++ {
	}
	if i < len(s) && s[i] == '?' {
		i++
	}
	return i
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
}

// path is a variable as an expression names it: customer.first_name.
type path struct {
	names []string
	// open says that more follows that is not known before rendering, such as [0] or [name].
	open bool
}

func (p path) String() string { return strings.Join(p.names, ".") }

// call is the use of a filter.
type call struct {
	name  string
	args  int
	start int // of the | before it
}

// analysis is what is known of an expression without running it.
type analysis struct {
	paths  []path
	calls  []call
	ranges int
}

// plain is the path of an expression that is nothing else.
func (a analysis) plain(lexemes int) (path, bool) {
	if len(a.paths) == 1 && len(a.calls) == 0 && !a.paths[0].open && lexemes == len(a.paths[0].names) {
		return a.paths[0], true
	}
	return path{}, false
}

func (a analysis) uses(name string) bool {
	for _, c := range a.calls {
		if c.name == name {
			return true
		}
	}
	return false
}

func analyse(lexemes []lexeme) (analysis, error) {
	var a analysis
	for i := 0; i < len(lexemes); i++ {
		l := lexemes[i]
		afterPipe := i > 0 && lexemes[i-1].kind == lexMark && lexemes[i-1].text == "|"
		switch {
		case afterPipe && l.kind == lexName:
			a.calls = append(a.calls, call{name: l.text, start: lexemes[i-1].start})
		case afterPipe && l.kind == lexKeyword:
			a.calls = append(a.calls, call{name: l.text, args: countArgs(lexemes[i+1:]), start: lexemes[i-1].start})
		case afterPipe:
			return a, fmt.Errorf("a filter's name must follow |")
		case l.kind == lexRange:
			a.ranges++
		case l.kind == lexName && (l.text == "true" || l.text == "false" || l.text == "nil"):
		case l.kind == lexName:
			p, next := readPath(lexemes, i)
			a.paths = append(a.paths, p)
			i = next - 1
		}
	}
	return a, nil
}

func readPath(lexemes []lexeme, i int) (path, int) {
	p := path{names: []string{lexemes[i].text}}
	for i++; i < len(lexemes); i++ {
		if lexemes[i].kind == lexMark && lexemes[i].text == "[" {
			p.open = true
			return p, i
		}
		if lexemes[i].kind != lexProperty {
			return p, i
		}
		p.names = append(p.names, lexemes[i].text)
	}
	return p, i
}

// countArgs counts the commas of the filter's own level.
func countArgs(lexemes []lexeme) int {
	n, depth := 1, 0
	for _, l := range lexemes {
		if l.kind != lexMark {
			continue
		}
		switch l.text {
		case "(", "[":
			depth++
		case ")", "]":
			if depth--; depth < 0 {
				return n
			}
		case "|":
			if depth == 0 {
				return n
			}
		case ",":
			if depth == 0 {
				n++
			}
		}
	}
	return n
}

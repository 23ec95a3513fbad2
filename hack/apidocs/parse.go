// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"reflect"
	"regexp"
	"sort"
	"strings"
)

// apiType is a type of the API package: a struct with fields, or a string or list with limits.
type apiType struct {
	name, doc string
	kind      bool // it is applied by itself
	markers   []string
	fields    []field
	// under is what the type is made of where it is no struct, such as string.
	under string
}

type field struct {
	json, doc string
	typ       string // as Go writes it, without pointers
	inline    bool
	markers   []string
}

// parse reads the types of a package, by name.
func parse(dir string) (map[string]*apiType, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("read %s: %w", dir, fs.ErrNotExist)
	}
	types := map[string]*apiType{}
	sort.Strings(names)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(filepath.Base(name), "zz_") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", name, err)
		}
		for _, declaration := range file.Decls {
			general, ok := declaration.(*ast.GenDecl)
			if !ok || general.Tok != token.TYPE {
				continue
			}
			for _, spec := range general.Specs {
				t := parseType(general, spec.(*ast.TypeSpec))
				types[t.name] = t
			}
		}
	}
	return types, nil
}

func parseType(declaration *ast.GenDecl, spec *ast.TypeSpec) *apiType {
	comment := spec.Doc
	if comment == nil {
		comment = declaration.Doc
	}
	t := &apiType{name: spec.Name.Name}
	t.doc, t.markers = split(comment)
	structure, ok := spec.Type.(*ast.StructType)
	if !ok {
		t.under = typeName(spec.Type)
		return t
	}
	for _, m := range t.markers {
		t.kind = t.kind || m == "kubebuilder:subresource:status"
	}
	for _, f := range structure.Fields.List {
		if f.Tag == nil {
			continue
		}
		tag := reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json")
		json, options, _ := strings.Cut(tag, ",")
		if json == "-" || json == "" && !strings.Contains(options, "inline") {
			continue
		}
		parsed := field{json: json, typ: typeName(f.Type), inline: json == ""}
		parsed.doc, parsed.markers = split(f.Doc)
		t.fields = append(t.fields, parsed)
	}
	return t
}

// split parts a comment's prose from its markers.
func split(comment *ast.CommentGroup) (doc string, markers []string) {
	if comment == nil {
		return "", nil
	}
	var lines []string
	for line := range strings.Lines(comment.Text()) {
		line = strings.TrimSpace(line)
		if marker, ok := strings.CutPrefix(line, "+"); ok {
			markers = append(markers, marker)
		} else {
			lines = append(lines, line)
		}
	}
	return strings.TrimSpace(strings.Join(lines, "\n")), markers
}

func typeName(expression ast.Expr) string {
	switch t := expression.(type) {
	case *ast.Ident:
		return t.Name
	case *ast.StarExpr:
		return typeName(t.X)
	case *ast.ArrayType:
		return "[]" + typeName(t.Elt)
	case *ast.MapType:
		return "map[" + typeName(t.Key) + "]" + typeName(t.Value)
	case *ast.SelectorExpr:
		return typeName(t.X) + "." + t.Sel.Name
	}
	return "object"
}

var messagePattern = regexp.MustCompile(`message="((?:[^"\\]|\\.)*)"`)

// rules are the messages of a type's or a field's CEL rules.
func rules(markers []string) (messages []string) {
	for _, m := range markers {
		if !strings.HasPrefix(m, "kubebuilder:validation:XValidation:") {
			continue
		}
		if found := messagePattern.FindStringSubmatch(m); found != nil {
			messages = append(messages, strings.ReplaceAll(found[1], `\"`, `"`))
		}
	}
	return messages
}

// limits are what the schema allows, in a few words.
func limits(markers []string) (words []string) {
	for _, m := range markers {
		name, value, _ := strings.Cut(strings.TrimPrefix(m, "kubebuilder:validation:"), "=")
		value = strings.Trim(value, "\"`")
		switch name {
		case "Enum":
			words = append(words, "one of "+code(strings.Split(value, ";")...))
		case "Pattern":
			words = append(words, "matches "+code(value))
		case "Minimum":
			words = append(words, "at least "+value)
		case "Maximum":
			words = append(words, "at most "+value)
		case "MinItems":
			words = append(words, "at least "+value+plural(value, " item"))
		case "MaxItems":
			words = append(words, "at most "+value+plural(value, " item"))
		case "MaxLength":
			words = append(words, "at most "+value+plural(value, " character"))
		case "listMapKey":
			words = append(words, "keyed by "+code(value))
		}
	}
	return words
}

func plural(number, noun string) string {
	if number == "1" {
		return noun
	}
	return noun + "s"
}

func code(values ...string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = "`" + strings.ReplaceAll(v, "|", `\|`) + "`"
	}
	return strings.Join(quoted, ", ")
}

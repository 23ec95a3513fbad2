// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

var (
	emptyObject = json.RawMessage("{}")
	errNoObject = errors.New(`is not a JSON object: write it like {"name": "value"}`)
)

// canonicalJSON is the one form of a document that both stores give back: sorted keys, no space, no
// exponents. A document that PostgreSQL cannot hold is an error.
func canonicalJSON(document []byte) (json.RawMessage, error) {
	if plainString(document) {
		return document, nil
	}
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, jsonError(err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("is more than one JSON document")
	}
	v, err := canonicalValue(v, 0)
	if err != nil {
		return nil, err
	}
	return marshalPlain(v)
}

// plainString tells whether a document is a string as canonicalJSON would write it: most attributes are.
func plainString(document []byte) bool {
	last := len(document) - 1
	if last < 1 || last > maxText || document[0] != '"' || document[last] != '"' || !utf8.Valid(document) {
		return false
	}
	for i, c := range document[1:last] {
		switch {
		case c < ' ', c == '"', c == '\\':
			return false
		case c == 0xe2 && (bytes.HasPrefix(document[i+1:], []byte("\u2028")) || bytes.HasPrefix(document[i+1:], []byte("\u2029"))):
			return false // encoding/json escapes these two
		}
	}
	return true
}

func jsonError(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("is not JSON: %w at byte %d", syntax, syntax.Offset)
	}
	return errors.New("is not JSON: it ends too early")
}

// marshalPlain leaves <, > and & as they are: SQLite's paths compare keys as they are written.
func marshalPlain(v any) (json.RawMessage, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

const maxJSONDepth = 32

func canonicalValue(v any, depth int) (any, error) {
	if depth > maxJSONDepth {
		return nil, fmt.Errorf("is nested deeper than %d levels", maxJSONDepth)
	}
	var err error
	switch v := v.(type) {
	case string:
		return v, checkText(v)
	case json.Number:
		return canonicalNumber(string(v))
	case []any:
		for i := range v {
			if v[i], err = canonicalValue(v[i], depth+1); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		for key, member := range v {
			if !utf8.ValidString(key) || strings.ContainsRune(key, 0) {
				return nil, errors.New("has a name with a NUL character")
			}
			if v[key], err = canonicalValue(member, depth+1); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}

func canonicalNumber(text string) (any, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || len(text) > 400 {
		return nil, fmt.Errorf("the number %s is too large", shorten(text))
	}
	if strings.ContainsAny(text, "eE") {
		text = strconv.FormatFloat(f, 'f', -1, 64)
	}
	if f == 0 {
		text = strings.TrimPrefix(text, "-")
	}
	return json.Number(text), nil
}

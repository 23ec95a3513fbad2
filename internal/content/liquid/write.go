// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package liquid

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// write puts an output's value where it belongs: escaped in markup, as part of an address in a
// link, as it is in text.
func (r *renderer) write(o *output, v any) error {
	s, err := r.format(v, o.line)
	if err != nil {
		return err
	}
	switch {
	case r.linkStart >= 0:
		if !o.trusted && s != "" && r.doubtful < 0 {
			r.doubtful = len(r.out) - r.linkStart
		}
		r.out = appendAddress(r.out, s)
	case r.json && !o.raw && (len(o.plain) != 1 || !r.captured[o.plain[0]]):
		r.out = appendInString(r.out, s)
	case !r.escape:
		start := len(r.out)
		r.out = append(r.out, s...)
		if !o.trusted && len(r.out) > start {
			r.untrusted = append(r.untrusted, Span{start, len(r.out)})
		}
	case o.raw, len(o.plain) == 1 && r.captured[o.plain[0]]:
		r.out = append(r.out, s...)
	case o.br:
		for i, line := range strings.Split(s, "\n") {
			if i > 0 {
				r.out = append(r.out, "<br />\n"...)
			}
			r.out = appendEscaped(r.out, strings.TrimSuffix(line, "\r"))
		}
	default:
		r.out = appendEscaped(r.out, s)
	}
	return r.checkOutput()
}

func (r *renderer) format(v any, line int) (string, error) {
	switch v := v.(type) {
	case string:
		return v, nil
	case time.Time:
		return v.In(r.location()).Format("2006-01-02 15:04"), nil
	case map[string]any:
		return "", errorf(line, "an output is a group of values: name one of them")
	case []any, []map[string]any, []string:
		return r.formatList(v, line)
	}
	return formatScalar(v, line)
}

func (r *renderer) formatList(v any, line int) (string, error) {
	at, n := items(v)
	var b strings.Builder
	for i := range n {
		item := at(i)
		if item == nil {
			continue
		}
		if err := r.step(); err != nil {
			return "", err
		}
		s, err := r.format(item, line)
		if err != nil {
			return "", err
		}
		b.WriteString(s)
		if b.Len() > r.limits.Output {
			return "", errorf(line, "the template makes more than %d bytes", r.limits.Output)
		}
	}
	return b.String(), nil
}

func (r *renderer) location() *time.Location {
	if r.env.Location != nil {
		return r.env.Location
	}
	return time.UTC
}

func formatScalar(v any, line int) (string, error) {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v), nil
	case int:
		return strconv.Itoa(v), nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case float64:
		return formatFloat(v), nil
	case json.Number:
		return v.String(), nil
	case []byte:
		return string(v), nil
	case fmt.Stringer:
		return v.String(), nil
	}
	rv := reflect.ValueOf(v)
	switch rv.Kind() {
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int:
		return strconv.FormatInt(rv.Int(), 10), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return strconv.FormatUint(rv.Uint(), 10), nil
	case reflect.Float32:
		return formatFloat(rv.Float()), nil
	case reflect.String:
		return rv.String(), nil
	}
	return "", errorf(line, "an output is neither text nor a number")
}

// formatFloat writes 1100 for 1000 × 1.1, where the shortest exact form is 1100.0000000000002, and
// never an exponent.
func formatFloat(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "0"
	}
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return strconv.FormatInt(int64(v), 10)
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 15, 64), 64)
	if err != nil {
		rounded = v
	}
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

// appendEscaped is for markup, in text and in quoted attributes.
func appendEscaped(out []byte, s string) []byte {
	last := 0
	for i := 0; i < len(s); i++ {
		var e string
		switch s[i] {
		case '&':
			e = "&amp;"
		case '<':
			e = "&lt;"
		case '>':
			e = "&gt;"
		case '"':
			e = "&#34;"
		case '\'':
			e = "&#39;"
		case 0:
			e = "\uFFFD"
		default:
			continue
		}
		out = append(append(out, s[last:i]...), e...)
		last = i + 1
	}
	return append(out, s[last:]...)
}

// appendAddress writes a value into an address: what no address may hold is encoded, and what
// url_encode has encoded stays.
func appendAddress(out []byte, s string) []byte {
	const hex = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"'<>\\^`{|}", c) >= 0 {
			out = append(out, '%', hex[c>>4], hex[c&15])
			continue
		}
		out = append(out, c)
	}
	return out
}

// appendInString appends a text as it stands in a JSON string, without the quotes.
func appendInString(out []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil {
		return out // which no text makes happen
	}
	return append(out, quoted[1:len(quoted)-1]...)
}

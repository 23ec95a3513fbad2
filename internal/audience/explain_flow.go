// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
)

// Flow writes a condition as one line of YAML, such as lastOrder: {within: 30d}.
func Flow(c *v1alpha1.Condition) (string, error) {
	var text bytes.Buffer
	plain := json.NewEncoder(&text)
	plain.SetEscapeHTML(false)
	if err := plain.Encode(c); err != nil {
		return "", fmt.Errorf("write a condition: %w", err)
	}
	in := json.NewDecoder(&text)
	in.UseNumber()
	var out strings.Builder
	if err := flow(in, &out); err != nil {
		return "", fmt.Errorf("write a condition: %w", err)
	}
	// The outermost braces would only be in the way.
	return strings.TrimSuffix(strings.TrimPrefix(out.String(), "{"), "}"), nil
}

// flow copies one JSON value, in the order that it has, with as few quotes as YAML needs.
func flow(in *json.Decoder, out *strings.Builder) error {
	token, err := in.Token()
	if err != nil {
		return err
	}
	switch v := token.(type) {
	case json.Delim:
		out.WriteString(v.String())
		for first := true; in.More(); first = false {
			if !first {
				out.WriteString(", ")
			}
			if v == '{' {
				if err := flow(in, out); err != nil {
					return err
				}
				out.WriteString(": ")
			}
			if err := flow(in, out); err != nil {
				return err
			}
		}
		end, err := in.Token()
		if err == nil {
			fmt.Fprint(out, end)
		}
		return err
	case string:
		return flowText(v, out)
	default:
		fmt.Fprint(out, v)
		return nil
	}
}

var (
	// plainForm is text that is nothing but text without quotes too: words of letters, or a duration.
	plainForm = regexp.MustCompile(`^(\pL[\pL\pN_./-]*( [\pL\pN_./-]+)*|[0-9]+[smhdw])$`)
	// otherWords are words that mean something else, in one version of YAML or another.
	otherWords = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|y|n|null)$`)
)

func flowText(text string, out *strings.Builder) error {
	if plainForm.MatchString(text) && !otherWords.MatchString(text) {
		out.WriteString(text)
		return nil
	}
	var quoted bytes.Buffer
	plain := json.NewEncoder(&quoted)
	plain.SetEscapeHTML(false)
	if err := plain.Encode(text); err != nil {
		return err
	}
	out.Write(bytes.TrimSpace(quoted.Bytes()))
	return nil
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package reading turns a recorded message into what its recipient reads. It
// works when somebody looks, so that arriving mail costs no parsing.
package reading

import (
	"encoding/json"
	"strings"

	"github.com/kaeru-dev/kaeru/internal/sandbox/links"
	"github.com/kaeru-dev/kaeru/internal/sandbox/mail"
	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

// Decode fills in a message's subject, text, HTML, headers, links and images.
func Decode(m record.Message) record.Message {
	switch m.Channel {
	case record.Email:
		return mail.Decode(m)
	case record.LINE:
		m.Text = lineText(m.Line.Messages)
		m.Links = links.LINE(m.Line.Messages)
	case record.SMS:
		m.Links = links.Text(m.Text)
	}
	return m
}

// Summary is one line for a list, and whom the message is from.
func Summary(m *record.Message) (line, from string) {
	switch m.Channel {
	case record.Email:
		return mail.Heading(m.Raw)
	case record.LINE:
		line, _, _ = strings.Cut(lineText(m.Line.Messages), "\n")
		return line, m.From
	}
	return m.Text, m.From
}

// Contains reports whether a message has the words somewhere in what its
// recipient sees, without regard to case.
func Contains(m *record.Message, words string) bool {
	words = strings.ToLower(words)
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), words) }
	if has(m.To) || has(m.Key) {
		return true
	}
	line, from := Summary(m)
	if has(line) || has(from) {
		return true
	}
	d := Decode(*m)
	return has(d.Text) || has(d.HTML)
}

type object struct {
	Type    string `json:"type"`
	Text    string `json:"text"`
	AltText string `json:"altText"`
	Title   string `json:"title"`
}

// lineText is what LINE shows in its list of talks, a line a message object.
func lineText(raw json.RawMessage) string {
	var objects []object
	_ = json.Unmarshal(raw, &objects) // recorded messages have been checked
	lines := make([]string, 0, len(objects))
	for _, o := range objects {
		switch {
		case o.Text != "":
			lines = append(lines, o.Text)
		case o.AltText != "":
			lines = append(lines, o.AltText)
		case o.Title != "":
			lines = append(lines, o.Title)
		default:
			lines = append(lines, "["+o.Type+"]")
		}
	}
	return strings.Join(lines, "\n")
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// maxLineURI is the longest address that LINE takes in an action.
const maxLineURI = 1000

// Line is a compiled push.
type Line struct{ messages [][]piece }

// piece is JSON that is the same for everyone, or the template of one string in it. Templates are
// rendered as strings, and only then written as JSON, so that no value can break out of its own.
type piece struct {
	json []byte
	text *template
	// short says that the text's addresses are to be short: LINE makes links of them.
	short bool
}

// CompileLine compiles LINE message objects. What is wrong with them is an *Error.
func (c *Compiler) CompileLine(messages []json.RawMessage) (*Line, error) {
	if len(messages) < 1 || len(messages) > 5 {
		return nil, &Error{Field: "messages", Message: fmt.Sprintf("a push carries 1 to 5 messages, not %d", len(messages))}
	}
	line := &Line{}
	for i, raw := range messages {
		field := fmt.Sprintf("messages[%d]", i)
		root, err := parseJSON(raw)
		if err != nil {
			return nil, &Error{Field: field, Message: fmt.Sprintf("not JSON: %s", err)}
		}
		object, ok := root.(*jsonObject)
		if !ok {
			return nil, &Error{Field: field, Message: "a message is a JSON object"}
		}
		w := &lineWriter{compiler: c}
		kind := object.text("type")
		w.linked = kind == "text" || kind == "textV2"
		if err := w.value(object, field, nil); err != nil {
			return nil, err
		}
		w.flush()
		line.messages = append(line.messages, w.pieces)
	}
	return line, nil
}

// Render makes the push for one customer; its errors are as Email's.
func (l *Line) Render(ctx context.Context, data *Data, links Links) (LinePush, error) {
	m := newMessage(ctx, data, links)
	m.env.Link = m.lineLink
	var push LinePush
	for _, pieces := range l.messages {
		var out bytes.Buffer
		for _, p := range pieces {
			out.Write(p.json)
			if p.text == nil {
				continue
			}
			text, err := m.lineText(p)
			if err != nil {
				return LinePush{}, err
			}
			out.Write(quote(text))
		}
		push.Messages = append(push.Messages, out.Bytes())
	}
	push.Short = m.rows
	return push, nil
}

// lineLink is the tracked address, or the address itself where LINE would not take that.
func (m *message) lineLink(address string, index int) string {
	if tracked := m.link(address, index); len(tracked) <= maxLineURI {
		return tracked
	}
	return address
}

func (m *message) lineText(p piece) (string, error) {
	if !p.short {
		res, err := m.render(p.text)
		return res.Text, err
	}
	// In a text, LINE links what looks like an address, and a long one fills the bubble.
	m.short = true
	defer func() { m.short = false }()
	return m.shortText(p.text)
}

// lineWriter cuts a message object into pieces.
type lineWriter struct {
	compiler *Compiler
	pieces   []piece
	buf      []byte
	linked   bool // the message's own text makes links of addresses
}

func (w *lineWriter) flush() {
	if len(w.buf) > 0 {
		w.pieces = append(w.pieces, piece{json: w.buf})
		w.buf = nil
	}
}

func (w *lineWriter) value(v any, field string, parent *jsonObject) error {
	switch v := v.(type) {
	case *jsonObject:
		w.buf = append(w.buf, '{')
		for i, key := range v.keys {
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			w.buf = append(append(w.buf, quote(key)...), ':')
			if err := w.member(v, key, v.values[i], field+"."+key, parent); err != nil {
				return err
			}
		}
		w.buf = append(w.buf, '}')
	case []any:
		w.buf = append(w.buf, '[')
		for i, item := range v {
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			if s, ok := item.(string); ok {
				if err := w.string(s, fmt.Sprintf("%s[%d]", field, i), false, false); err != nil {
					return err
				}
			} else if err := w.value(item, fmt.Sprintf("%s[%d]", field, i), parent); err != nil {
				return err
			}
		}
		w.buf = append(w.buf, ']')
	default:
		data, err := json.Marshal(v)
		if err != nil {
			return &Error{Field: field, Message: err.Error()}
		}
		w.buf = append(w.buf, data...)
	}
	return nil
}

func (w *lineWriter) member(object *jsonObject, key string, v any, field string, parent *jsonObject) error {
	s, ok := v.(string)
	if !ok {
		return w.value(v, field, object)
	}
	uriAction := object.text("type") == "uri"
	address := uriAction && (key == "uri" || key == "linkUri") ||
		key == "desktop" && parent != nil && parent.text("type") == "uri"
	return w.string(s, field, address, w.linked && parent == nil && key == "text")
}

// string writes a string as it is, unless it has to be rendered.
func (w *lineWriter) string(s, field string, address, short bool) error {
	template := strings.Contains(s, "{{") || strings.Contains(s, "{%")
	if !template && !(isHTTP(s) && address) && !(short && strings.Contains(s, "http")) {
		w.buf = append(w.buf, quote(s)...)
		return nil
	}
	compile := w.compiler.text
	if address {
		compile = w.compiler.address
	}
	t, err := compile(field, s)
	if err != nil {
		return err
	}
	w.pieces = append(w.pieces, piece{json: w.buf, text: t, short: short})
	w.buf = nil
	return nil
}

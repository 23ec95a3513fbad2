// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"context"
	"strings"
)

// SMS is a compiled text message.
type SMS struct{ body *template }

// CompileSMS compiles a text message. What is wrong with it is an *Error.
func (c *Compiler) CompileSMS(text string) (*SMS, error) {
	if strings.TrimSpace(text) == "" {
		return nil, &Error{Field: "text", Message: "a text message needs a text"}
	}
	t, err := c.text("text", text)
	if err != nil {
		return nil, err
	}
	return &SMS{t}, nil
}

// Render makes the text for one customer; its errors are as Email's. Its addresses are short, since
// every part is paid for.
func (s *SMS) Render(ctx context.Context, data *Data, links Links) (Text, error) {
	m := newMessage(ctx, data, links)
	m.short = true
	body, err := m.shortText(s.body)
	if err != nil {
		return Text{}, err
	}
	body = strings.TrimSpace(body)
	if body == "" {
		return Text{}, &Error{Field: "text", Message: "the text is empty for this customer"}
	}
	return Text{Body: body, Count: CountSMS(body), Short: m.rows}, nil
}

// shortText renders a text and makes its addresses short.
func (m *message) shortText(t *template) (string, error) {
	res, err := m.render(t)
	if err != nil {
		return "", err
	}
	return rewrite(res, func(address string, _ int) string {
		if !m.links.trackable(address) {
			return address
		}
		return m.shorten(Click, address)
	}), nil
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/kaeru-dev/kaeru/internal/content/liquid"
)

// Webhook is the compiled body of a webhook, which is JSON.
type Webhook struct{ body *template }

const notJSON = "the body is no JSON document"

// CompileWebhook compiles the body of a webhook. What is wrong with it is an *Error.
func (c *Compiler) CompileWebhook(body string) (*Webhook, error) {
	t, err := liquid.Compile(body, liquid.Options{JSON: true, Limits: c.limits})
	if err != nil {
		return nil, fieldError("body", err, true)
	}
	if t.Static() && !json.Valid([]byte(body)) {
		return nil, &Error{Field: "body", Message: notJSON}
	}
	return &Webhook{&template{Template: t, field: "body", lines: true}}, nil
}

// Render makes the body for one customer; its errors are as Email's. What is written into a string is
// escaped for one, so that no value can end it.
func (w *Webhook) Render(ctx context.Context, data *Data) (json.RawMessage, error) {
	res, err := newMessage(ctx, data, Links{}).render(w.body)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if json.Compact(&out, []byte(res.Text)) != nil {
		return nil, &Error{Field: "body", Message: notJSON + " for this customer"}
	}
	return out.Bytes(), nil
}

// Uses says whether the body reads a variable.
func (w *Webhook) Uses(name string) bool { return uses(name, w.body) }

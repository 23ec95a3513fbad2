// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/content"
)

// call is what a webhook step calls.
type call struct {
	url     string
	timeout time.Duration
	// body is nil for the one that says what happened, and nothing else.
	body *content.Webhook
}

func compileCall(compiler *content.Compiler, spec *crm.WebhookStep) (*call, error) {
	c := &call{url: string(spec.URL), timeout: spec.TimeoutOrDefault()}
	if spec.Body == "" {
		return c, nil
	}
	var err error
	c.body, err = compiler.CompileWebhook(spec.Body)
	return c, err
}

func (c *call) make(ctx context.Context, data *content.Data, l *letter) (w *channel.Webhook, err error) {
	w = &channel.Webhook{URL: c.url, Timeout: c.timeout}
	if c.body != nil {
		w.Body, err = c.body.Render(ctx, data)
		return w, err
	}
	w.Body, err = json.Marshal(map[string]string{"customer": l.customer, "scenario": l.ref.Name, "step": l.step})
	if err != nil {
		return nil, fmt.Errorf("writing the body of a webhook: %w", err)
	}
	return w, nil
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client talks to a sandbox's JSON API.
type Client struct {
	base string
	http *http.Client
}

// NewClient makes a client for the sandbox whose inbox is at base.
func NewClient(base string) *Client {
	return &Client{base: strings.TrimRight(base, "/"), http: &http.Client{Timeout: 30 * time.Second}}
}

// Query narrows a list of messages down; its zero value is the first 100.
type Query struct {
	// After is a message's Seq, or the Next of an earlier page.
	After int64
	// Channel is email, line or sms.
	Channel string
	// To is the recipient.
	To string
	// Contains is searched for in what the recipient sees.
	Contains string
	// Limit is at most 10,000.
	Limit int
}

// Messages returns messages in the order of their arrival.
func (c *Client) Messages(ctx context.Context, q Query) (Page, error) {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" && value != "0" {
			v.Set(name, value)
		}
	}
	set("after", strconv.FormatInt(q.After, 10))
	set("channel", q.Channel)
	set("to", q.To)
	set("q", q.Contains)
	set("limit", strconv.Itoa(q.Limit))
	return call[Page](ctx, c, http.MethodGet, "/api/messages?"+v.Encode(), nil)
}

// All returns every message that fits, however many pages it takes.
func (c *Client) All(ctx context.Context, q Query) ([]Message, error) {
	q.Limit = 1000
	var out []Message
	for {
		p, err := c.Messages(ctx, q)
		if err != nil {
			return nil, err
		}
		out = append(out, p.Messages...)
		if len(p.Messages) < q.Limit {
			return out, nil
		}
		q.After = p.Next
	}
}

// Message returns one message.
func (c *Client) Message(ctx context.Context, seq int64) (Message, error) {
	return call[Message](ctx, c, http.MethodGet, fmt.Sprintf("/api/messages/%d", seq), nil)
}

// Clear forgets all messages, retry keys and consumption.
func (c *Client) Clear(ctx context.Context) error {
	return c.do(ctx, http.MethodDelete, "/api/messages", nil, nil)
}

// Stats returns the counts.
func (c *Client) Stats(ctx context.Context) (Stats, error) {
	return call[Stats](ctx, c, http.MethodGet, "/api/stats", nil)
}

// AddFault puts a rule in force and returns it with its ID.
func (c *Client) AddFault(ctx context.Context, f Fault) (Fault, error) {
	return call[Fault](ctx, c, http.MethodPost, "/api/faults", f)
}

// AddPreset puts a failure in force by its name, such as line-500 or
// line-500:count=3.
func (c *Client) AddPreset(ctx context.Context, spec string) (Fault, error) {
	return call[Fault](ctx, c, http.MethodPost, "/api/faults", map[string]string{"preset": spec})
}

// Presets returns the failures that have a name.
func (c *Client) Presets(ctx context.Context) ([]FaultPreset, error) {
	return call[[]FaultPreset](ctx, c, http.MethodGet, "/api/faults/presets", nil)
}

// Happen lets a LINE user do something, and returns the status that the
// webhook was answered with.
func (c *Client) Happen(ctx context.Context, e LINEEvent) (int, error) {
	a, err := call[webhookAnswer](ctx, c, http.MethodPost, "/api/line/events", e)
	return a.Status, err
}

// Faults returns the rules in force with their counts.
func (c *Client) Faults(ctx context.Context) ([]ActiveFault, error) {
	return call[[]ActiveFault](ctx, c, http.MethodGet, "/api/faults", nil)
}

// RemoveFault takes one rule out of force.
func (c *Client) RemoveFault(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/api/faults/"+url.PathEscape(id), nil, nil)
}

// ClearFaults takes all rules out of force.
func (c *Client) ClearFaults(ctx context.Context) error {
	return c.do(ctx, http.MethodDelete, "/api/faults", nil, nil)
}

// SetRecipient says what is special about a recipient.
func (c *Client) SetRecipient(ctx context.Context, r Recipient) error {
	return c.do(ctx, http.MethodPost, "/api/recipients", r, nil)
}

// Recipients returns those about whom something is special.
func (c *Client) Recipients(ctx context.Context) ([]Recipient, error) {
	return call[[]Recipient](ctx, c, http.MethodGet, "/api/recipients", nil)
}

func call[T any](ctx context.Context, c *Client, method, path string, in any) (T, error) {
	var out T
	err := c.do(ctx, method, path, in, &out)
	return out, err
}

func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("sandbox: writing the request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("sandbox: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode >= 300 {
		var e apiError
		_ = json.NewDecoder(res.Body).Decode(&e)
		return fmt.Errorf("sandbox: %s %s: %s %s", method, path, res.Status, e.Error)
	}
	if out == nil {
		_, err = io.Copy(io.Discard, res.Body)
		return err
	}
	if err := json.NewDecoder(res.Body).Decode(out); err != nil {
		return fmt.Errorf("sandbox: %s %s: reading the answer: %w", method, path, err)
	}
	return nil
}

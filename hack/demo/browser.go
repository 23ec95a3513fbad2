// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

const (
	personAgent = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.1 Mobile/15E148 Safari/604.1"
	// Gmail loads pictures with this one before it delivers a mail, and LINE previews links with the other.
	gmailAgent = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0"
	lineAgent  = "facebookexternalhit/1.1;line-poker/1.0"
)

// browser does what people, and robots, do with a message.
type browser struct {
	gateway, shop string
	client        *http.Client
}

func newBrowser(gateway, shop string) *browser {
	return &browser{gateway: gateway, shop: shop, client: &http.Client{Timeout: 30 * time.Second}}
}

func (b *browser) do(ctx context.Context, what string, a *arrival) error {
	m := &a.message
	switch what {
	case "open":
		return b.open(ctx, m, personAgent)
	case "click":
		return b.click(ctx, http.MethodGet, m, personAgent)
	case "leave":
		return b.leave(ctx, m)
	}
	// A robot: nothing of what it does counts.
	switch a.step.channel {
	case "email":
		if err := b.open(ctx, m, gmailAgent); err != nil {
			return err
		}
		return b.click(ctx, http.MethodHead, m, personAgent)
	case "line":
		return b.click(ctx, http.MethodGet, m, lineAgent)
	}
	return b.click(ctx, http.MethodHead, m, personAgent)
}

func (b *browser) open(ctx context.Context, m *sandbox.Message, agent string) error {
	for _, image := range m.Images {
		if strings.HasPrefix(image, b.gateway+"/o/") {
			_, err := b.ask(ctx, http.MethodGet, image, agent, "")
			return err
		}
	}
	return fmt.Errorf("mail %d has no picture that tells of an open", m.Seq)
}

func (b *browser) click(ctx context.Context, method string, m *sandbox.Message, agent string) error {
	for _, link := range m.Links {
		if !strings.HasPrefix(link, b.gateway+"/l/") && !strings.HasPrefix(link, b.gateway+"/s/") {
			continue
		}
		at, err := b.ask(ctx, method, link, agent, "")
		if err == nil && !strings.HasPrefix(at, b.shop) {
			err = fmt.Errorf("a link of message %d leads to %s, not to the shop", m.Seq, at)
		}
		return err
	}
	return fmt.Errorf("message %d has no tracked link", m.Seq)
}

// leave unsubscribes: by the one click of RFC 8058 in a mail, and by the button of its page in LINE.
func (b *browser) leave(ctx context.Context, m *sandbox.Message) error {
	target := ""
	for name, values := range m.Headers {
		if strings.EqualFold(name, "List-Unsubscribe") {
			target = strings.Trim(strings.Join(values, ""), "<> ")
		}
	}
	for _, link := range m.Links {
		if target == "" && strings.HasPrefix(link, b.gateway+"/u/") {
			target = link
		}
	}
	if target == "" {
		return fmt.Errorf("message %d has no way to unsubscribe", m.Seq)
	}
	_, err := b.ask(ctx, http.MethodPost, target, personAgent, "List-Unsubscribe=One-Click")
	return err
}

// ask follows an address to where it ends.
func (b *browser) ask(ctx context.Context, method, address, agent, form string) (end string, err error) {
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form))
	if err != nil {
		return "", fmt.Errorf("follow a link: %w", err)
	}
	request.Header.Set("User-Agent", agent)
	if form != "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := b.client.Do(request)
	if err != nil {
		return "", fmt.Errorf("follow a link: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return "", fmt.Errorf("follow a link: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		path, _ := url.Parse(address)
		return "", fmt.Errorf("%s %s…: %s", method, path.Path[:min(12, len(path.Path))], response.Status)
	}
	return response.Request.URL.String(), nil
}

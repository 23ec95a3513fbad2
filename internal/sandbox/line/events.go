// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/sandbox/fault"
	"github.com/kaeru-dev/kaeru/internal/sandbox/people"
	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

// webhookTimeout is how long a webhook's answer may take; LINE wants it within two seconds.
const webhookTimeout = 10 * time.Second

// Event is something that a user does.
type Event struct {
	// Channel is the account's name; it may be empty where there is one account.
	Channel string `json:"channel,omitempty"`
	// Type is follow, unfollow, message, postback, accountLink or unsend.
	Type string `json:"type"`
	User string `json:"user"`
	// Text is a message's, Data a postback's, Nonce that of an account that is linked, and Message the id of
	// one that is unsent.
	Text    string `json:"text,omitempty"`
	Data    string `json:"data,omitempty"`
	Nonce   string `json:"nonce,omitempty"`
	Message string `json:"message,omitempty"`
}

// hooks are the webhooks under way.
type hooks struct {
	client  *http.Client
	stopped context.Context
	stop    context.CancelFunc

	mu      sync.Mutex
	running sync.WaitGroup
}

func newHooks() *hooks {
	h := &hooks{client: &http.Client{Timeout: webhookTimeout}}
	h.stopped, h.stop = context.WithCancel(context.Background())
	return h
}

// Close stops webhooks under way.
func (s *Server) Close() {
	s.hooks.mu.Lock()
	s.hooks.stop()
	s.hooks.mu.Unlock()
	s.hooks.running.Wait()
	s.hooks.client.CloseIdleConnections()
}

// Happen tells of what a user does, as LINE would, and keeps in mind who blocked the account. It
// returns the status that the webhook was answered with.
func (s *Server) Happen(ctx context.Context, e Event) (int, error) {
	c, err := s.named(e.Channel)
	if err != nil {
		return 0, err
	}
	if !userID.MatchString(e.User) {
		return 0, fmt.Errorf("user %q is no LINE user id: write U and 32 of 0-9a-f", e.User)
	}
	if c.WebhookURL == "" {
		return 0, fmt.Errorf("account %s has no webhook: set its webhookURL and secret in the sandbox's configuration", c.Name)
	}
	event, err := s.event(c, e)
	if err != nil {
		return 0, err
	}
	return s.send(ctx, c, e.User, event)
}

func (s *Server) named(name string) (*channel, error) {
	var names []string
	for _, c := range s.channels {
		if c.Name == name || name == "" && len(s.channels) == 1 {
			return c, nil
		}
		names = append(names, c.Name)
	}
	return nil, fmt.Errorf("there is no LINE account %q: write one of %s", name, strings.Join(names, ", "))
}

// event is what the webhook says. Who unfollows gets no more, and who follows does again.
func (s *Server) event(c *channel, e Event) (map[string]any, error) {
	out := map[string]any{
		"type": e.Type, "mode": "active", "timestamp": s.log.Now().UnixMilli(), "webhookEventId": strings.ToUpper(strings.ReplaceAll(uuid.NewString(), "-", ""))[:26],
		"deliveryContext": map[string]bool{"isRedelivery": false}, "source": map[string]string{"type": "user", "userId": e.User},
	}
	was := s.people.Get(record.LINE, e.User)
	state := was.State
	switch e.Type {
	case "follow":
		out["follow"], state = map[string]bool{"isUnblocked": was.State == people.Blocked}, people.Reachable
	case "unfollow":
		state = people.Blocked
	case "message":
		out["message"] = map[string]string{"type": "text", "id": messageID(), "text": e.Text, "quoteToken": quoteToken()}
	case "postback":
		out["postback"] = map[string]string{"data": e.Data}
	case "accountLink":
		out["link"] = map[string]string{"result": "ok", "nonce": e.Nonce}
	case "unsend":
		out["unsend"] = map[string]string{"messageId": e.Message}
	default:
		return nil, fmt.Errorf("type %q does not exist: write follow, unfollow, message, postback, accountLink or unsend", e.Type)
	}
	if e.Type != "unfollow" && e.Type != "unsend" {
		out["replyToken"] = s.replies.issue(c.Name, e.User)
	}
	if state != was.State {
		return out, s.people.Set(people.Recipient{Channel: record.LINE, ID: e.User, State: state, Name: was.Name})
	}
	return out, nil
}

func replyToken() string { return strings.ReplaceAll(uuid.NewString(), "-", "") }

// send posts one signed event, more often or with a wrong signature where a fault says so.
func (s *Server) send(ctx context.Context, c *channel, user string, event map[string]any) (int, error) {
	sum := sha256.Sum256([]byte(c.Token))
	body, err := json.Marshal(map[string]any{"destination": "U" + hex.EncodeToString(sum[:16]), "events": []any{event}})
	if err != nil {
		return 0, err
	}
	f := s.faults.Hit(fault.LINE, "webhook", user)
	fault.Wait(ctx, f.Delay+f.AnswerDelay)
	if f.Spoils() {
		return 0, nil
	}
	secret := c.Secret
	if f.Forge {
		secret = "not-the-channels"
	}
	status := 0
	for range 1 + f.Repeat {
		if status, err = s.post(ctx, c.WebhookURL, secret, body); err != nil {
			return 0, err
		}
	}
	return status, nil
}

func (s *Server) post(ctx context.Context, target, secret string, body []byte) (int, error) {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write(body)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("sending a webhook: %w", err)
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("User-Agent", "LineBotWebhook/2.0")
	r.Header.Set("X-Line-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	res, err := s.hooks.client.Do(r)
	if err != nil {
		return 0, fmt.Errorf("sending a webhook: %w", err)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	_ = res.Body.Close()
	return res.StatusCode, nil
}

// back lets the recipient of a push that was taken do something.
func (s *Server) back(c *channel, user, what string) {
	if what == "" {
		return
	}
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	if s.hooks.stopped.Err() != nil {
		return
	}
	s.hooks.running.Add(1)
	go func() {
		defer s.hooks.running.Done()
		// Nobody is there to be told that a webhook could not be sent; the test or the demo will miss it.
		_, _ = s.Happen(s.hooks.stopped, Event{Channel: c.Name, Type: what, User: user})
	}()
}

// checkWebhook says what is wrong with where a channel's webhooks are to go.
func checkWebhook(c Channel) error {
	if c.WebhookURL == "" {
		return nil
	}
	if u, err := url.Parse(c.WebhookURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("LINE channel %q: webhookURL %q is not an address: write one like http://127.0.0.1:8080/v1/webhooks/line/shop/line-main", c.Name, c.WebhookURL)
	}
	if c.Secret == "" {
		return fmt.Errorf("LINE channel %q: its webhooks need a secret to be signed with", c.Name)
	}
	return nil
}

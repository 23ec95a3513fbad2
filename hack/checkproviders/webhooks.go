// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/go-logr/logr"
	"github.com/line/line-bot-sdk-go/v8/linebot/webhook"
	"sigs.k8s.io/yaml"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/gateway"
	"github.com/kaeru-dev/kaeru/internal/store"
)

const channelSecret = "0123456789abcdef0123456789abcdef"

// checkWebhooks has the gateway take a webhook of each kind that LINE's description has.
func checkWebhooks(ctx context.Context, out *tabwriter.Writer, file string) error {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var d webhookDescription
	if err := yaml.Unmarshal(text, &d); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	events, err := d.events()
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	g, done, err := newGateway(ctx)
	if err != nil {
		return err
	}
	defer done()
	for _, name := range slices.Sorted(maps(events)) {
		event, err := json.Marshal(events[name])
		if err != nil {
			return err
		}
		known, err := webhook.UnmarshalEvent(event)
		if _, unknown := known.(webhook.UnknownEvent); err != nil || unknown {
			return fmt.Errorf("LINE, webhook %s: the SDK does not know it: %s", name, event)
		}
		if status := deliver(ctx, g, event); status != http.StatusOK {
			return fmt.Errorf("LINE, webhook %s: the gateway answers %d to %s", name, status, event)
		}
		fmt.Fprintf(out, "LINE\twebhook: %s\taccepted\t%d\tPOST /v1/webhooks/line/shop/line-main\n", name, http.StatusOK)
	}
	return nil
}

// maps are the keys of a map.
func maps(m map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// newGateway is a gateway with a store of its own.
func newGateway(ctx context.Context) (_ http.Handler, done func(), err error) {
	dir, err := os.MkdirTemp("", "checkproviders-")
	if err != nil {
		return nil, nil, err
	}
	remove := func() { _ = os.RemoveAll(dir) }
	st, err := store.Open(ctx, "sqlite://"+filepath.ToSlash(filepath.Join(dir, "kaeru.db")))
	if err != nil {
		remove()
		return nil, nil, err
	}
	done = func() {
		_ = st.Close()
		remove()
	}
	if err := st.Migrate(ctx); err != nil {
		done()
		return nil, nil, err
	}
	const public = "https://links.shop.example"
	links, err := content.NewSigner(public, make([]byte, 32))
	if err != nil {
		done()
		return nil, nil, err
	}
	g, err := gateway.New(gateway.Config{
		Store: st, Clock: clock.Real(), PublicURL: public, Links: links, Log: logr.Discard(),
		Credentials: gateway.CredentialsFunc(func(string, string, string) (string, bool) { return channelSecret, true }),
	})
	if err != nil {
		done()
		return nil, nil, err
	}
	return g, done, nil
}

// deliver sends one event as LINE does, and returns what it is answered with.
func deliver(ctx context.Context, g http.Handler, event []byte) int {
	body := append(append([]byte(`{"destination":"`+user+`","events":[`), event...), `]}`...)
	mac := hmac.New(sha256.New, []byte(channelSecret))
	_, _ = mac.Write(body)
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/webhooks/line/shop/line-main", bytes.NewReader(body))
	r.Header.Set("X-Line-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	return w.Code
}

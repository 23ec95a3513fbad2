// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package manager_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const tracked = channels + `
apiVersion: v1
kind: Secret
metadata: {name: website, labels: {crm.kaeru.dev/write-key: "true"}}
stringData: {writeKey: $KEY}
---
apiVersion: crm.kaeru.dev/v1alpha1
kind: Scenario
metadata: {name: cart}
spec:
  trigger: {event: {name: Product Added}}
  steps:
  - name: reminder
    wait: {for: 2s}
    line: {channel: line-main, messages: [{type: text, text: "{{ customer.name }}: {{ entry.product_id }}"}]}
`

// TestTrackedEventsLetIn: what a visitor does before it is known who they are leads to one message to whom they
// turn out to be.
func TestTrackedEventsLetIn(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		s := newShop(t, dsn, clock.Real())
		s.ingest("customers", "id,line_user_id,consent_line,name\nanna,U0123456789abcdef0123456789abcdef,true,Anna\n")
		s.start()
		key := uuid.NewString()
		post := func(path, body string) error {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.public+path, strings.NewReader(body))
			must(t, err)
			req.SetBasicAuth(key, "")
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				return err
			}
			said, err := io.ReadAll(res.Body)
			must(t, err)
			must(t, res.Body.Close())
			if res.StatusCode != http.StatusOK {
				return fmt.Errorf("%s: %s", res.Status, said)
			}
			return nil
		}
		s.eventually(30*time.Second, func() error {
			err := post("/v1/batch", `{"batch": []}`)
			if err == nil {
				t.Fatal("taken without a key")
			}
			if !strings.Contains(err.Error(), "401") {
				return fmt.Errorf("before there is a key: %w", err)
			}
			return nil
		})
		s.apply(strings.ReplaceAll(tracked, "$KEY", key))
		s.ready("channelconfig/line-main", "scenario/cart")
		s.eventually(30*time.Second, func() error { return post("/v1/batch", `{"batch": []}`) })

		must(t, post("/v1/track", `{"anonymousId": "b1", "event": "Product Added", "messageId": "m1", "properties": {"product_id": "tea"}}`))
		must(t, post("/v1/identify", `{"anonymousId": "b1", "userId": "anna"}`))
		must(t, post("/v1/track", `{"anonymousId": "b1", "event": "Product Added", "messageId": "m1", "properties": {"product_id": "tea"}}`)) // again
		s.eventually(60*time.Second, func() error {
			got := s.arrived("line")
			if len(got) != 1 || !strings.Contains(show(got[0]), "Anna: tea") {
				return fmt.Errorf("%d messages: %s", len(got), show(got))
			}
			return nil
		})
		s.eventually(30*time.Second, func() error {
			if n := s.scenario("cart").Status.Enrolled; n == nil || *n != 1 {
				return fmt.Errorf("the status is %s", show(s.scenario("cart").Status))
			}
			return nil
		})
	})
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package manager_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/kaeru-dev/kaeru/internal/channel/webhook"
	"github.com/kaeru-dev/kaeru/internal/clock"
	"github.com/kaeru-dev/kaeru/internal/testenv"
)

const hookKey = "0123456789abcdef0123456789abcdef"

const stepsOfAllKinds = channels + `
apiVersion: v1
kind: Secret
metadata: {name: hook}
stringData: {key: ` + hookKey + `}
---
apiVersion: crm.kaeru.dev/v1alpha1
kind: Scenario
metadata: {name: cart}
spec:
  trigger: {event: {name: Product Added}}
  steps:
  - name: tell
    webhook:
      url: "$HOOK/in"
      signingSecretRef: {name: hook, key: key}
      body: '{"id": "{{ customer.id }}", "product": "{{ entry.product.name }}", "left": {{ entry.product.stock }}}'
  - name: remind
    if: entry.product.stock > 0
    line:
      channel: line-main
      messages: [{type: text, text: "{{ entry.product.name }}"}]
      fallback:
        email:
          channel: email-main
          subject: "{{ entry.product.name }}"
          text: "{{ recommendations[0].name }}: {{ recommendations[0].reason }}"
          recommend: {strategy: BoughtTogether, limit: 1}
  - name: remember
    update: {attributes: {reminded_of: "{{ entry.product_id }}"}}
`

// TestStepsOfAllKinds lets somebody without LINE put something in the cart: the shop's system is called and can
// verify it, the reminder goes by mail and recommends what others bought along, and the status tells.
func TestStepsOfAllKinds(t *testing.T) {
	testenv.Stores(t, func(t *testing.T, dsn string) {
		verifier, err := standardwebhooks.NewWebhookRaw([]byte(hookKey))
		must(t, err)
		var mu sync.Mutex
		var told []string
		hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err == nil {
				err = verifier.Verify(body, r.Header)
			}
			mu.Lock()
			defer mu.Unlock()
			told = append(told, fmt.Sprint(string(body), err))
		}))
		t.Cleanup(hook.Close)
		s := newShop(t, dsn, clock.Real())
		s.hosts = webhook.Hosts{strings.TrimPrefix(hook.URL, "http://")}
		s.ingest("products", "id,name,category,price,stock\np1,Green tea,tea,1200,3\np2,Tea pot,pots,4800,2\n")
		s.ingest("customers", "id,email,consent_email\na,a@shop.example,granted\nb,b@shop.example,granted\nc,c@shop.example,granted\n")
		items := `"[{""product_id"":""p1"",""quantity"":1},{""product_id"":""p2"",""quantity"":1}]"`
		s.ingest("orders", "id,customer_id,placed_at,total,items\no1,a,2026-10-01T00:00:00Z,6000,"+items+"\no2,b,2026-10-01T00:00:00Z,6000,"+items+
			"\no3,c,2026-10-01T00:00:00Z,1200,\"[{\"\"product_id\"\":\"\"p1\"\",\"\"quantity\"\":1}]\"\n")
		s.start()
		s.apply(strings.ReplaceAll(stepsOfAllKinds, "$HOOK", hook.URL))
		s.ready("scenario/cart", "channelconfig/line-main", "channelconfig/email-main")
		s.ingest("events", "id,customer_id,name,occurred_at,properties\ne1,c,Product Added,"+time.Now().UTC().Format(time.RFC3339)+",\"{\"\"product_id\"\":\"\"p1\"\"}\"\n")

		s.eventually(time.Minute, func() error {
			mails := s.arrived("email")
			if len(mails) != 1 {
				return fmt.Errorf("%d mails arrived", len(mails))
			}
			if m := mails[0]; m.To != "c@shop.example" || m.Subject != "Green tea" || !strings.Contains(m.Text, "Tea pot: ") {
				return fmt.Errorf("the mail is %s", show(m))
			}
			mu.Lock()
			defer mu.Unlock()
			if len(told) != 1 || told[0] != `{"id":"c","product":"Green tea","left":3}<nil>` {
				return fmt.Errorf("the shop was told %q", told)
			}
			status := s.scenario("cart").Status
			if len(status.Steps) != 2 || status.Steps[0].Sent != 1 || status.Steps[0].Channel != "" || status.Steps[1].Sent != 1 || status.Steps[1].FellBack != 1 {
				return fmt.Errorf("the status is %s", show(status.Steps))
			}
			return nil
		})
	})
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	registry "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
)

// gathered are the values of a metric by their labels; for a histogram how many there were.
func gathered(t *testing.T, name string) map[string]float64 {
	t.Helper()
	families, err := registry.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			out[strings.Join(labels, " ")] = m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return out
}

func TestWrongSignaturesAreToldOf(t *testing.T) {
	f := newSQLite(t)
	var alerts []string
	f.gateway.Alert = func(ns, channel, reason string) { alerts = append(alerts, ns+"/"+channel+" "+reason) }
	before := gathered(t, "kaeru_gateway_signatures_refused_total")["sms-main shop"]
	for range 3 {
		if code := f.sendCallback(smsPath, "AAAA", url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"delivered"}}); code != http.StatusForbidden {
			t.Fatalf("status %d", code)
		}
	}
	want := "shop/sms-main " + dispatch.ReasonSignatureInvalid
	if !slices.Equal(alerts, []string{want, want, want}) {
		t.Errorf("alerts %v", alerts)
	}
	if got := gathered(t, "kaeru_gateway_signatures_refused_total")["sms-main shop"] - before; got != 3 {
		t.Errorf("%v are counted", got)
	}
	if code := f.sendCallback("/v1/webhooks/sms/shop/nobody", "AAAA", url.Values{}); code != http.StatusNotFound || len(alerts) != 3 {
		t.Errorf("a channel that does not exist: status %d, alerts %v", code, alerts)
	}
}

func TestRequestsAreMeasuredByRoute(t *testing.T) {
	f := newSQLite(t)
	const name = "kaeru_gateway_request_seconds"
	before := gathered(t, name)
	f.get("/" + string(content.Open) + "/forged")
	f.get("/wp-login.php")
	after := gathered(t, name)
	for _, labels := range []string{"404 GET /o/{token}", "404 none"} {
		if after[labels]-before[labels] != 1 {
			t.Errorf("%s: %v before, %v after, in %v", labels, before[labels], after[labels], after)
		}
	}
}

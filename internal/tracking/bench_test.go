// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package tracking

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkFacts reads batches of a hundred calls as the official clients send them.
func BenchmarkFacts(b *testing.B) {
	var calls []string
	for i := range 100 {
		calls = append(calls, fmt.Sprintf(`{"messageId":"node-next-1772355600000-%d","type":"track","userId":"customer-%d","timestamp":"2026-03-01T08:59:59.000Z",`+
			`"context":{"library":{"name":"@segment/analytics-node","version":"3.1.0"},"userAgent":"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15"},"integrations":{},`+
			`"event":"Product Viewed","properties":{"product_id":"p%d","name":"Product","category":"tea","price":1200,"url":"https://shop.example/products/1"}}`, i, i, i))
	}
	body := []byte(`{"batch":[` + strings.Join(calls, ",") + `],"writeKey":"k","sentAt":"2026-03-01T09:00:00.000Z"}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r, err := ReadBody(Batch, body)
		if err != nil {
			b.Fatal(err)
		}
		if _, refused := r.Facts(now); len(refused) > 0 {
			b.Fatal(refused)
		}
	}
}

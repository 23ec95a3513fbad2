// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"sync/atomic"
	"testing"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

// BenchmarkSend is mails a second with two connections to a server on this machine.
func BenchmarkSend(b *testing.B) {
	c := config((&script{}).serve(b))
	c.MaxConnections = 2
	s, err := New(c)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var failed atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if o := s.Send(b.Context(), message(), nil); o.End != channel.Sent {
				failed.Add(1)
			}
		}
	})
	if n := failed.Load(); n > 0 {
		b.Errorf("%d mails failed", n)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "mails/s")
}

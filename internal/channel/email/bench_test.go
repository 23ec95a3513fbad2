// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package email

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

// BenchmarkSend is mails a second with two connections, to a server on this machine and to one whose
// answers are 5 ms under way, which offers pipelining or does not; and to one here that is sent signed mails.
func BenchmarkSend(b *testing.B) {
	for _, bb := range []struct {
		name string
		srv  *script
		sign bool
	}{
		{"here/one by one", &script{}, false},
		{"here/pipelined", &script{pipelining: true}, false},
		{"here/pipelined and signed", &script{pipelining: true}, true},
		{"5ms/one by one", &script{away: 5 * time.Millisecond}, false},
		{"5ms/pipelined", &script{away: 5 * time.Millisecond, pipelining: true}, false},
	} {
		b.Run(bb.name, func(b *testing.B) {
			c := config(bb.srv.serve(b))
			c.MaxConnections = 2
			if bb.sign {
				c.DKIM = signedBy(b)
			}
			s, err := New(c)
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			var failed atomic.Int64
			b.ResetTimer()
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
		})
	}
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/kaeru-dev/kaeru/internal/channel"
)

// counters are the metrics of dispatch. Their labels are names of resources and reasons, never
// anything of a customer.
type counters struct {
	messages *prometheus.CounterVec
	outcomes *prometheus.CounterVec
	refusals *prometheus.CounterVec
}

var shared = func() *counters {
	c := &counters{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kaeru_messages_total",
			Help: "Messages that came to an end, by end: sent, failed, skipped, unknown.",
		}, []string{"namespace", "scenario", "channel", "state", "reason"}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kaeru_channel_outcomes_total",
			Help: "Answers of providers to single tries, by how they were understood.",
		}, []string{"namespace", "channel", "outcome", "reason"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "kaeru_entries_refused_total",
			Help: "Facts that a scenario listens to and that let nobody in, by why: Late, WhereFalse, NoKey.",
		}, []string{"namespace", "scenario", "reason"}),
	}
	metrics.Registry.MustRegister(c.messages, c.outcomes, c.refusals)
	return c
}()

func newCounters() *counters { return shared }

func (c *counters) ended(l *letter, to end) {
	if to.state != StatePlanned {
		c.messages.WithLabelValues(l.ref.Namespace, l.ref.Name, l.channel, to.state, to.reason).Inc()
	}
}

func (c *counters) refused(ref Ref, reason string) {
	c.refusals.WithLabelValues(ref.Namespace, ref.Name, reason).Inc()
}

func (c *counters) outcome(l *letter, out channel.Outcome) {
	c.outcomes.WithLabelValues(l.ref.Namespace, l.channel, string(out.End), out.Reason).Inc()
}

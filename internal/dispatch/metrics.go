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
	// rate and share are of a channel, slowdowns of what its provider made of it.
	rate, share *prometheus.GaugeVec
	slowdowns   *prometheus.CounterVec
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
	of := []string{"namespace", "channel"}
	c.rate = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kaeru_channel_rate",
		Help: "Messages a second that all processes together may send through a channel: its rateLimit, or less where the provider refused what came too fast.",
	}, of)
	c.share = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kaeru_channel_rate_share",
		Help: "This process's share of a channel's rate when it asked for one last; 0 while the channel is held back.",
	}, of)
	c.slowdowns = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kaeru_channel_slowdowns_total",
		Help: "How often this process heard that a channel's provider is sent too much, and told the others.",
	}, of)
	metrics.Registry.MustRegister(c.messages, c.outcomes, c.refusals, c.rate, c.share, c.slowdowns)
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

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/kaeru-dev/kaeru/internal/audience"
)

var (
	segmentMembers = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kaeru_segment_members", Help: "Members of a segment at its last refresh.",
	}, []string{"namespace", "segment"})
	segmentRefreshed = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "kaeru_segment_last_refresh_timestamp_seconds", Help: "When a segment was last refreshed.",
	}, []string{"namespace", "segment"})
	segmentDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "kaeru_segment_refresh_seconds", Help: "How long refreshes of segments took, by mode.",
		Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
	}, []string{"mode"})
	segmentDrift = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kaeru_segment_drift_total", Help: "Customers whom a look at everybody found on the wrong side of a segment. Anything but 0 is a defect.",
	}, []string{"namespace", "segment"})
)

func init() {
	metrics.Registry.MustRegister(segmentMembers, segmentRefreshed, segmentDuration, segmentDrift)
}

func observeRefresh(namespace, name string, s audience.Result) {
	segmentDrift.WithLabelValues(namespace, name).Add(float64(s.Drift))
	segmentMembers.WithLabelValues(namespace, name).Set(float64(s.Members))
	segmentRefreshed.WithLabelValues(namespace, name).Set(float64(s.RefreshedAt.Unix()))
	segmentDuration.WithLabelValues(s.Mode).Observe(s.Duration.Seconds())
}

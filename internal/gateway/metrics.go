// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	registry "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/kaeru-dev/kaeru/internal/dispatch"
)

// metrics are those of all gateways of the process. Their labels are routes and names of resources,
// never a path, which holds tokens.
var metrics = func() (m struct {
	requests *prometheus.HistogramVec
	refused  *prometheus.CounterVec
	taken    *prometheus.CounterVec
	declined *prometheus.CounterVec
},
) {
	m.requests = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "kaeru_gateway_request_seconds", Help: "How long requests took, by route and status.",
		Buckets: prometheus.ExponentialBuckets(0.001, 4, 8),
	}, []string{"route", "code"})
	m.refused = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kaeru_gateway_signatures_refused_total", Help: "Callbacks of providers whose signature was wrong, by channel.",
	}, []string{"namespace", "channel"})
	m.taken = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kaeru_tracking_calls_total", Help: "Calls of the tracking protocol, and products, that were taken.",
	}, []string{"namespace"})
	m.declined = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "kaeru_tracking_refused_total", Help: "Calls of the tracking protocol, and products, that were refused.",
	}, []string{"namespace"})
	registry.Registry.MustRegister(m.requests, m.refused, m.taken, m.declined)
	return m
}()

// refuseSignature answers a callback whose signature is wrong. Nothing comes of it, but for an alert on
// the channel where there are many.
func (g *Gateway) refuseSignature(w http.ResponseWriter, ns, channel string) {
	metrics.refused.WithLabelValues(ns, channel).Inc()
	g.Alert(ns, channel, dispatch.ReasonSignatureInvalid)
	http.Error(w, "the signature is not valid", http.StatusForbidden)
}

// noRoute is the label of what no route is for.
const noRoute = "none"

// measured takes the time of requests.
func measured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, told := time.Now(), &teller{ResponseWriter: w, code: http.StatusOK}
		next.ServeHTTP(told, r)
		route := r.Pattern // as the mux has found it
		if route == "" || route == "/" {
			route = noRoute
		}
		metrics.requests.WithLabelValues(route, strconv.Itoa(told.code)).Observe(time.Since(began).Seconds())
	})
}

// teller remembers the status.
type teller struct {
	http.ResponseWriter
	code int
}

func (t *teller) WriteHeader(code int) {
	t.code = code
	t.ResponseWriter.WriteHeader(code)
}

// Unwrap is for http.ResponseController, and http.MaxBytesReader.
func (t *teller) Unwrap() http.ResponseWriter { return t.ResponseWriter }

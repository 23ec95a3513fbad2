// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"net/http"
	"slices"

	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

// mostUnits is how many aggregation units a month has statistics of. A push that names one more is sent, and
// the name dropped.
const mostUnits = 1000

// units are the names that pushes had in a month, in the order they came; the caller holds the lock.
func (l *ledger) unit(month, name string) bool {
	if slices.Contains(l.units[month], name) {
		return true
	}
	if len(l.units[month]) >= mostUnits {
		return false
	}
	if l.units == nil {
		l.units = map[string][]string{}
	}
	l.units[month] = append(l.units[month], name)
	return true
}

// keepUnits leaves the names that are counted; the caller holds the lock.
func (l *ledger) keepUnits(m *record.Message) {
	m.Line.AggregationUnits = slices.DeleteFunc(m.Line.AggregationUnits, func(name string) bool { return !l.unit(month(m.Time), name) })
}

func (s *Server) unitUsage(w http.ResponseWriter, r *request) {
	r.channel.ledger.mu.Lock()
	defer r.channel.ledger.mu.Unlock()
	answer(w, http.StatusOK, map[string]int{"numOfCustomAggregationUnits": len(r.channel.ledger.units[month(s.log.Now())])})
}

func (s *Server) unitNames(w http.ResponseWriter, r *request) {
	r.channel.ledger.mu.Lock()
	defer r.channel.ledger.mu.Unlock()
	names := slices.Clone(r.channel.ledger.units[month(s.log.Now())])
	if names == nil {
		names = []string{}
	}
	answer(w, http.StatusOK, map[string]any{"customAggregationUnits": names})
}

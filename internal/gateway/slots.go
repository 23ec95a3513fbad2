// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"
	"sync"
)

const (
	// requestsAtOnce bounds what a flood can take of memory and of the store's connections.
	requestsAtOnce = 512
	// requestsOfOne bounds what one client can take of that, such as one that sends its bodies byte by
	// byte. Requests end within milliseconds, so it is much even for a carrier's many phones.
	requestsOfOne = 64
)

// slots are the requests under way.
type slots struct {
	mu  sync.Mutex
	all int
	of  map[string]int // by client, as far as it is known
}

func newSlots() *slots { return &slots{of: map[string]int{}} }

// take takes a slot, or says with what status the request is turned away.
func (s *slots) take(who string) (status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case who != "" && s.of[who] >= requestsOfOne:
		return http.StatusTooManyRequests
	case s.all >= requestsAtOnce:
		return http.StatusServiceUnavailable
	}
	s.all++
	if who != "" {
		s.of[who]++
	}
	return 0
}

func (s *slots) give(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.of[who]--; s.of[who] <= 0 {
		delete(s.of, who)
	}
}

// limit turns away what comes in faster than it can be worked off.
func (g *Gateway) limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := client(r)
		if status := g.slots.take(who); status != 0 {
			w.Header().Set("Retry-After", retryAfter)
			http.Error(w, "too many requests at once: try again in a moment", status)
			return
		}
		defer g.slots.give(who)
		next.ServeHTTP(w, r)
	})
}

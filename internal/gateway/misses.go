// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	missesPerSecond = 0.5
	missesAtOnce    = 30
	missesKept      = 10_000 // clients
)

// misses holds back who asks again and again for short links that do not exist. Links that do are
// never counted, so those who follow them are not concerned, however many share an address.
type misses struct {
	mu      sync.Mutex
	clients map[string]*rate.Limiter
	swept   time.Time
}

func newMisses() *misses { return &misses{clients: map[string]*rate.Limiter{}} }

func (m *misses) exhausted(who string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.clients[who]
	return l != nil && l.Tokens() < 1
}

func (m *misses) add(who string) {
	if who == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.clients[who]
	if l == nil {
		m.sweep()
		l = rate.NewLimiter(missesPerSecond, missesAtOnce)
		m.clients[who] = l
	}
	l.Allow()
}

// sweep forgets clients whose misses are long ago; where that is not enough, all of them.
func (m *misses) sweep() {
	if len(m.clients) < missesKept {
		return
	}
	if time.Since(m.swept) > time.Second {
		m.swept = time.Now()
		for who, l := range m.clients {
			if l.Tokens() >= missesAtOnce {
				delete(m.clients, who)
			}
		}
	}
	if len(m.clients) >= missesKept {
		clear(m.clients)
	}
}

// client is who asks: behind a proxy in the cluster, whom the proxy says it was. It is empty where a
// proxy does not say, because all clients would be one.
func client(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return ""
	}
	if !addr.IsPrivate() && !addr.IsLoopback() {
		return block(addr)
	}
	// The last entry is the one the proxy itself wrote; those before it are the client's word.
	said := r.Header.Values("X-Forwarded-For")
	if len(said) == 0 {
		return ""
	}
	last := said[len(said)-1]
	last = strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
	if addr, err = netip.ParseAddr(last); err != nil {
		return ""
	}
	return block(addr)
}

// block is the network that one client has for itself: with IPv6 a /64.
func block(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	p, err := addr.Prefix(64)
	if err != nil {
		return addr.String()
	}
	return p.String()
}

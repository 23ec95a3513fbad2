// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"crypto/sha256"
	"net/http"
	"sync/atomic"
)

// WriteKeys are the keys that let facts in, each for a namespace. Until the first Set nothing is known
// of any. It is safe for use by several goroutines.
type WriteKeys struct {
	// By the keys' hashes: how long a lookup takes tells nothing of a key.
	namespaces atomic.Pointer[map[[sha256.Size]byte]string]
}

// Set makes these all the keys there are, with their namespaces.
func (k *WriteKeys) Set(keys map[string]string) {
	hashed := make(map[[sha256.Size]byte]string, len(keys))
	for key, ns := range keys {
		hashed[sha256.Sum256([]byte(key))] = ns
	}
	k.namespaces.Store(&hashed)
}

// namespace is whose key it is. known is false while nothing is known of any key.
func (k *WriteKeys) namespace(key string) (ns string, ok, known bool) {
	if k == nil {
		return "", false, true
	}
	namespaces := k.namespaces.Load()
	if namespaces == nil {
		return "", false, false
	}
	ns, ok = (*namespaces)[sha256.Sum256([]byte(key))]
	return ns, ok, true
}

// authenticate tells the namespace of a request by its write key, the user of Basic authentication;
// the password does not matter. Where it is not ok, the request is answered.
func (g *Gateway) authenticate(w http.ResponseWriter, r *http.Request) (ns string, ok bool) {
	key, _, _ := r.BasicAuth()
	return g.authenticateKey(w, key)
}

// authenticateKey is authenticate for who got the key in another way.
func (g *Gateway) authenticateKey(w http.ResponseWriter, key string) (ns string, ok bool) {
	ns, ok, known := g.WriteKeys.namespace(key)
	switch {
	case !known:
		unavailable(w) // a client that is told 401 throws away what it has
	case !ok:
		w.Header().Set("WWW-Authenticate", `Basic realm="kaeru"`)
		http.Error(w, "give a write key as the user of Basic authentication: it is in a Secret with the label crm.kaeru.dev/write-key", http.StatusUnauthorized)
	}
	return ns, ok
}

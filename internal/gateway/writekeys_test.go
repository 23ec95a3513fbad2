// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestWriteKeys(t *testing.T) {
	f := newSQLite(t)
	f.keys.Set(map[string]string{writeKey: "shop", "another-key-of-the-shop": "shop", "the-key-of-the-mall": "mall"})
	for name, tt := range map[string]struct {
		authorize func(r *http.Request)
		ns        string
		want      int
	}{
		"a key":                     {func(r *http.Request) { r.SetBasicAuth(writeKey, "") }, "shop", http.StatusOK},
		"with any password":         {func(r *http.Request) { r.SetBasicAuth(writeKey, "whatever") }, "shop", http.StatusOK},
		"another key of the shop":   {func(r *http.Request) { r.SetBasicAuth("another-key-of-the-shop", "") }, "shop", http.StatusOK},
		"another shop's":            {func(r *http.Request) { r.SetBasicAuth("the-key-of-the-mall", "") }, "mall", http.StatusOK},
		"none":                      {func(*http.Request) {}, "", http.StatusUnauthorized},
		"an unknown one":            {func(r *http.Request) { r.SetBasicAuth(writeKey+"x", "") }, "", http.StatusUnauthorized},
		"an empty one":              {func(r *http.Request) { r.SetBasicAuth("", writeKey) }, "", http.StatusUnauthorized},
		"as a bearer's token":       {func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+writeKey) }, "", http.StatusUnauthorized},
		"what is no Basic at all":   {func(r *http.Request) { r.Header.Set("Authorization", "Basic !") }, "", http.StatusUnauthorized},
		"the name of its namespace": {func(r *http.Request) { r.SetBasicAuth("shop", "") }, "", http.StatusUnauthorized},
	} {
		r := request(http.MethodPost, "/v1/track", "{}")
		tt.authorize(r)
		w := httptest.NewRecorder()
		ns, ok := f.gateway.authenticate(w, r)
		if ns != tt.ns || ok != (tt.want == http.StatusOK) || w.Code != tt.want {
			t.Errorf("%s: %q, %t, status %d", name, ns, ok, w.Code)
		}
		if !ok && (w.Header().Get("WWW-Authenticate") == "" || !strings.Contains(w.Body.String(), "crm.kaeru.dev/write-key")) {
			t.Errorf("%s: %v %s", name, w.Header(), w.Body)
		}
	}
	f.keys.Set(nil)
	w := httptest.NewRecorder()
	r := request(http.MethodPost, "/v1/track", "{}")
	r.SetBasicAuth(writeKey, "")
	if _, ok := f.gateway.authenticate(w, r); ok {
		t.Error("a key that was taken away lets in")
	}
	f.gateway.WriteKeys = &WriteKeys{}
	w = httptest.NewRecorder()
	if _, ok := f.gateway.authenticate(w, r); ok || w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("before the keys are known: %d", w.Code)
	}
	f.gateway.WriteKeys = nil
	w = httptest.NewRecorder()
	if _, ok := f.gateway.authenticate(w, r); ok || w.Code != http.StatusUnauthorized {
		t.Errorf("a gateway without keys: %d", w.Code)
	}
}

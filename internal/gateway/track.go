// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/tracking"
)

const (
	// maxUnknown is how much is read of a request that brings its key in its body.
	maxUnknown = 64 << 10
	// trackAtOnce is how many requests of one shop are read and written at once.
	trackAtOnce = 128
	// maxRefusals is how many refusals an answer lists.
	maxRefusals = 100
)

// calls are the paths of the tracking protocol, and what they hold.
var calls = map[string]string{
	"identify": tracking.Identify, "track": tracking.Track, "page": tracking.Page, "screen": tracking.Screen,
	"group": tracking.Group, "alias": tracking.AliasOf, "batch": tracking.Batch, "import": tracking.Batch,
}

// facts are the routes by which facts come in.
func (g *Gateway) facts(mux *http.ServeMux) {
	for path, kind := range calls {
		handle := func(w http.ResponseWriter, r *http.Request) { g.track(w, r, kind) }
		for _, p := range []string{"/v1/" + path, "/v1/" + path + "/{$}"} {
			mux.HandleFunc("POST "+p, handle)
			mux.HandleFunc("OPTIONS "+p, preflight)
		}
	}
	mux.HandleFunc("POST /v1/products", g.products)
	mux.HandleFunc("POST /v1/products/{$}", g.products)
}

// preflight lets pages of any host track: what they may do is what the write key is for.
func preflight(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "POST")
	h.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Content-Encoding, AnonymousId")
	h.Set("Access-Control-Max-Age", "86400")
	w.WriteHeader(http.StatusNoContent)
}

// track takes calls of the tracking protocol.
func (g *Gateway) track(w http.ResponseWriter, r *http.Request, kind string) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	limit, ns := maxUnknown, ""
	if r.Header.Get("Authorization") != "" {
		var ok bool
		if ns, ok = g.authenticate(w, r); !ok {
			return
		}
		limit = tracking.MaxBody
	}
	release, ok := g.tracks.enter(ns)
	if !ok {
		busy(w)
		return
	}
	defer release()
	body, ok := readBody(w, r, limit)
	if !ok {
		return
	}
	request, err := tracking.ReadBody(kind, body)
	if err != nil {
		refuse(w, 0, []tracking.Refusal{refusalOf(err)})
		return
	}
	if ns == "" {
		if ns, ok = g.authenticateKey(w, request.WriteKey); !ok {
			return
		}
	}
	facts, refused := request.Facts(g.Clock.Now())
	g.take(w, r, ns, facts, request.Calls(), refused)
}

// take writes facts and answers. What was refused is told after the rest is written: who tracks throws a
// batch away that was refused, and does not ask which of its calls were at fault.
func (g *Gateway) take(w http.ResponseWriter, r *http.Request, ns string, facts *tracking.Facts, n int, refused []tracking.Refusal) {
	if err := g.intake.write(r.Context(), ns, facts); errors.Is(err, errBusy) {
		busy(w)
		return
	} else if err != nil {
		unavailable(w)
		return
	}
	metrics.taken.WithLabelValues(ns).Add(float64(n - len(refused)))
	if len(refused) > 0 {
		metrics.declined.WithLabelValues(ns).Add(float64(len(refused)))
		g.Log.Info("Some of what was tracked could not be taken", "namespace", ns, "taken", n-len(refused), "refused", len(refused))
		refuse(w, n-len(refused), refused)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"success": true}`+"\n")
}

// refuse answers that not all was taken.
func refuse(w http.ResponseWriter, taken int, refused []tracking.Refusal) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_ = json.NewEncoder(w).Encode(struct {
		Success bool               `json:"success"`
		Taken   int                `json:"taken"`
		Refused int                `json:"refused"`
		Errors  []tracking.Refusal `json:"errors"`
	}{false, taken, len(refused), refused[:min(len(refused), maxRefusals)]})
}

func refusalOf(err error) tracking.Refusal {
	var field *store.FieldError
	if errors.As(err, &field) {
		return tracking.Refusal{Field: field.Field, Reason: field.Reason}
	}
	return tracking.Refusal{Reason: err.Error()}
}

// busy asks to send less at once.
func busy(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, "too much is being sent at once: try again in a moment", http.StatusTooManyRequests)
}

// readBody reads a body of limited size, also after it was unpacked. Where it is not ok, the request is
// answered.
func readBody(w http.ResponseWriter, r *http.Request, limit int) ([]byte, bool) {
	tooLong := func() ([]byte, bool) {
		http.Error(w, fmt.Sprintf("the body is longer than %d bytes: send fewer calls at once", limit), http.StatusRequestEntityTooLarge)
		return nil, false
	}
	if r.ContentLength > int64(limit) {
		return tooLong()
	}
	reader := io.Reader(http.MaxBytesReader(w, r.Body, int64(limit)))
	switch encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); encoding {
	case "", "identity":
	case "gzip":
		unpacked, err := gzip.NewReader(reader)
		if err != nil {
			http.Error(w, "the body is not gzip, as Content-Encoding says", http.StatusBadRequest)
			return nil, false
		}
		reader = unpacked
	default:
		http.Error(w, "the body's encoding is not supported: send it as it is, or as gzip", http.StatusUnsupportedMediaType)
		return nil, false
	}
	body, err := io.ReadAll(io.LimitReader(reader, int64(limit)+1))
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long), len(body) > limit:
		return tooLong()
	case err != nil:
		http.Error(w, "the body could not be read", http.StatusBadRequest)
		return nil, false
	}
	return body, true
}

// turnstile counts who is inside, by shop; "" is those of whom it is not known yet.
type turnstile struct {
	mu     sync.Mutex
	inside map[string]int
}

// enter lets in unless there are too many of the shop's already.
func (t *turnstile) enter(ns string) (release func(), ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inside[ns] >= trackAtOnce {
		return nil, false
	}
	if t.inside == nil {
		t.inside = map[string]int{}
	}
	t.inside[ns]++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.inside[ns]--; t.inside[ns] == 0 {
			delete(t.inside, ns)
		}
	}, true
}

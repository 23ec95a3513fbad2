// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package fault

import (
	"bytes"
	"net/http"
)

// Serve answers an HTTP request through the book: handle gives the usual
// answer, spoiled writes an error in the provider's form. It returns what is to
// come back of a request that took effect.
func (b *Book) Serve(w http.ResponseWriter, r *http.Request, provider, operation, to string,
	handle http.HandlerFunc, spoiled func(http.ResponseWriter, Effect)) (back string) {
	e := b.Hit(provider, operation, to)
	if e == (Effect{}) {
		handle(w, r)
		return ""
	}
	Wait(r.Context(), e.Delay)
	usual := &held{header: http.Header{}, status: http.StatusOK}
	if e.Takes() {
		handle(usual, r)
		if usual.status < 300 {
			back = e.Back
		}
	}
	Wait(r.Context(), e.AnswerDelay)
	switch {
	case e.Drop:
		panic(http.ErrAbortHandler) // net/http's way to cut the connection
	case e.Status == 0:
		usual.release(w)
	case e.Body != "":
		contentType := e.ContentType
		if contentType == "" {
			contentType = "text/html; charset=utf-8"
		}
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(e.Status)
		_, _ = w.Write([]byte(e.Body))
	default:
		spoiled(w, e)
	}
	return back
}

// held keeps an answer back until it is known whether it is given.
type held struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (h *held) Header() http.Header         { return h.header }
func (h *held) WriteHeader(status int)      { h.status = status }
func (h *held) Write(b []byte) (int, error) { return h.body.Write(b) }

func (h *held) release(w http.ResponseWriter) {
	for k, v := range h.header {
		w.Header()[k] = v
	}
	w.WriteHeader(h.status)
	_, _ = w.Write(h.body.Bytes())
}

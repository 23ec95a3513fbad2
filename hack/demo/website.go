// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// website is the shop on the web: pages that links lead to, and the products' pictures.
type website struct {
	url      string
	server   *http.Server
	mu       sync.Mutex
	products map[string]product
	pictures map[string][]byte
	visits   int
}

// startWebsite listens on a free loopback port.
func startWebsite() (*website, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the shop's website: %w", err)
	}
	w := &website{url: "http://" + listener.Addr().String(), pictures: map[string][]byte{}, products: map[string]product{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /images/{file}", w.picture)
	mux.HandleFunc("GET /", w.page)
	w.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = w.server.Serve(listener) }()
	return w, nil
}

func (w *website) stock(products []product) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range products {
		w.products[p.id] = p
	}
}

func (w *website) picture(out http.ResponseWriter, r *http.Request) {
	id := strings.TrimSuffix(r.PathValue("file"), ".png")
	w.mu.Lock()
	defer w.mu.Unlock()
	p, ok := w.products[id]
	if !ok {
		http.NotFound(out, r)
		return
	}
	if w.pictures[id] == nil {
		w.pictures[id] = picture(p)
	}
	out.Header().Set("Content-Type", "image/png")
	out.Header().Set("Cache-Control", "max-age=3600")
	_, _ = out.Write(w.pictures[id])
}

var shopPage = template.Must(template.New("").Parse(`<!doctype html><html lang="ja"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>蛙屋</title>
<body style="font-family:sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;color:#33383d">
<h1 style="color:#3f7d58">蛙屋</h1>{{if .ID}}<img src="/images/{{.ID}}.png" alt="" style="width:100%;border-radius:12px">
<h2>{{.Name}}</h2><p><b>¥{{.Price}}</b></p>{{end}}
<p style="color:#8a8f98">The demo's shop. A tracked link of a message led here: {{.Path}}</p></body></html>`))

func (w *website) page(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	p := w.products[strings.TrimPrefix(r.URL.Path, "/products/")]
	w.visits++
	w.mu.Unlock()
	out.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = shopPage.Execute(out, map[string]any{"ID": p.id, "Name": p.name, "Price": p.price, "Path": r.URL.Path})
}

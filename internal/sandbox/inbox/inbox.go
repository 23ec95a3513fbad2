// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inbox is the page that shows each arrived message as its recipient
// would see it.
package inbox

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/kaeru-dev/kaeru/internal/sandbox/reading"
	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

const pageSize = 50

//go:embed assets templates
var files embed.FS

var pages = template.Must(template.New("").ParseFS(files, "templates/*.html"))

// policy lets a shown mail load its pictures and styles and nothing else; no
// script runs but the page's own.
const policy = "default-src 'none'; script-src 'self'; connect-src 'self'; frame-src 'self'; " +
	"style-src 'self' 'unsafe-inline' https:; font-src https: http: data:; img-src http: https: data:; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

type server struct {
	log  *record.Log
	zone *time.Location
}

// Routes adds the page to a mux; it shows times in the given zone.
func Routes(mux *http.ServeMux, log *record.Log, zone *time.Location) {
	s := &server{log: log, zone: zone}
	mux.HandleFunc("GET /{$}", s.page)
	mux.Handle("GET /assets/", cached(http.FileServerFS(files)))
	mux.HandleFunc("GET /favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
}

func cached(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		h.ServeHTTP(w, r)
	})
}

// filter is what the list is narrowed down to, as the address says it.
type filter struct {
	Channel, To, Words string
	Before, Message    int64
	View               string
}

func read(q url.Values) filter {
	f := filter{Channel: q.Get("channel"), To: q.Get("to"), Words: q.Get("q"), View: q.Get("view")}
	f.Before, _ = strconv.ParseInt(q.Get("before"), 10, 64)
	f.Message, _ = strconv.ParseInt(q.Get("m"), 10, 64)
	return f
}

// link is the page's address with one thing changed; an empty value takes it away.
func (f filter) link(change ...string) string {
	q := url.Values{}
	set := func(name, value string) {
		if q.Del(name); value != "" && value != "0" {
			q.Set(name, value)
		}
	}
	set("channel", f.Channel)
	set("to", f.To)
	set("q", f.Words)
	set("before", strconv.FormatInt(f.Before, 10))
	for i := 0; i+1 < len(change); i += 2 {
		set(change[i], change[i+1])
	}
	return "/?" + q.Encode()
}

type row struct {
	Seq                             int64
	Channel, To, From, Line, Status string
	Time                            moment
	Link                            string
	Selected                        bool
}

type tab struct {
	Name, Channel, Link string
	Count               int
	Current             bool
}

// moment is a time as the page writes it in several places.
type moment struct{ Machine, Short, Day, Long string }

func (s *server) moment(t time.Time) moment {
	local := t.In(s.zone)
	m := moment{
		Machine: t.UTC().Format(time.RFC3339), Short: local.Format("Jan 2"), Day: local.Format("Mon 2 January"), Long: local.Format("Mon 2 January 2006, 15:04:05 MST"),
	}
	if now := s.log.Now().In(s.zone); now.Format(time.DateOnly) == local.Format(time.DateOnly) {
		m.Short = local.Format("15:04")
	}
	return m
}

type view struct {
	Filter  filter
	Tabs    []tab
	Rows    []row
	Total   int
	Newest  int64
	Older   string
	Latest  string
	AnyTo   string
	Message *shown
	Missing bool
}

func (s *server) page(w http.ResponseWriter, r *http.Request) {
	f := read(r.URL.Query())
	v := view{Filter: f, Latest: f.link("before", ""), AnyTo: f.link("to", "")}
	v.Tabs, v.Total = s.tabs(f)
	found := s.log.Before(f.Before, pageSize+1, func(m *record.Message) bool {
		return record.Match(m, f.Channel, f.To) && (f.Words == "" || reading.Contains(m, f.Words))
	})
	if len(found) > pageSize {
		found = found[:pageSize]
		v.Older = f.link("before", strconv.FormatInt(found[pageSize-1].Seq, 10))
	}
	for i, m := range found {
		if i == 0 {
			v.Newest = m.Seq
		}
		v.Rows = append(v.Rows, s.row(m, f))
	}
	if f.Message != 0 {
		if m, ok := s.log.Get(f.Message); ok {
			v.Message = s.show(m, f)
		} else {
			v.Missing = true
		}
	}
	name := "page.html"
	if r.URL.Query().Has("list") {
		name = "list" // the page's script asks for the list alone
	}
	var out bytes.Buffer
	if err := pages.ExecuteTemplate(&out, name, v); err != nil {
		http.Error(w, "The page could not be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	if v.Missing {
		w.WriteHeader(http.StatusNotFound)
	}
	_, _ = w.Write(out.Bytes())
}

func (s *server) tabs(f filter) ([]tab, int) {
	stats, total := s.log.Stats(), 0
	for _, c := range stats {
		total += c.Messages
	}
	tabs := []tab{{Name: "All", Count: total}}
	for _, c := range []tab{{Name: "Mail", Channel: record.Email}, {Name: "LINE", Channel: record.LINE}, {Name: "SMS", Channel: record.SMS}} {
		c.Count = stats[c.Channel].Messages
		tabs = append(tabs, c)
	}
	for i := range tabs {
		tabs[i].Current = tabs[i].Channel == f.Channel
		tabs[i].Link = f.link("channel", tabs[i].Channel, "before", "")
	}
	return tabs, total
}

func (s *server) row(m *record.Message, f filter) row {
	line, from := reading.Summary(m)
	if len([]rune(line)) > 120 {
		line = string([]rune(line)[:120]) + "…"
	}
	status := m.Status
	if status == record.Delivered {
		status = ""
	}
	return row{
		Seq: m.Seq, Channel: m.Channel, To: m.To, From: from, Line: line, Status: status, Time: s.moment(m.Time),
		Link: f.link("m", strconv.FormatInt(m.Seq, 10)), Selected: m.Seq == f.Message,
	}
}

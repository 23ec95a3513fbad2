// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package stage

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/ingest"
	"github.com/kaeru-dev/kaeru/internal/sandbox"
)

// perform does what happens in a scene.
func (s *stage) perform(scene *Scene) {
	s.Helper()
	s.load(scene.Import)
	if scene.Track != nil {
		s.track(scene.Track)
	}
	if r := scene.Opens; r != nil {
		s.open(r)
	}
	if r := scene.Clicks; r != nil {
		s.click(r)
	}
	if r := scene.Unsubscribes; r != nil {
		s.unsubscribe(r)
	}
	if e := scene.Line; e != nil {
		s.inLine(e)
	}
}

// load imports rows, customers before what is about them.
func (s *stage) load(rows Import) {
	s.Helper()
	for _, kind := range ingest.Kinds {
		if text := rows[kind]; text != "" {
			s.ingest(kind, text, ingest.CSV)
		}
	}
}

func (s *stage) ingest(kind, text string, format ingest.Format) {
	s.Helper()
	result, err := ingest.Run(s.ctx, s.store, namespace, kind, strings.NewReader(text), format, ingest.Options{Clock: s.clock})
	s.ok(err)
	if result.Refused > 0 {
		s.Fatalf("%s: %s were refused: %v", s.now(), kind, result.First)
	}
}

// track lets an event come in at the moment it happens.
func (s *stage) track(e *Event) {
	s.Helper()
	s.tracked++
	properties := e.Properties
	if properties == nil {
		properties = json.RawMessage("{}")
	}
	row, err := json.Marshal(map[string]any{
		"id": fmt.Sprintf("story-%d", s.tracked), "customer_id": e.Customer, "name": e.Event,
		"occurred_at": s.clock.Now().Format(time.RFC3339Nano), "properties": properties,
	})
	s.ok(err)
	s.ingest("events", string(row)+"\n", ingest.JSONLines)
}

// open loads the picture in a mail that tells of it.
func (s *stage) open(r *Reaction) {
	s.Helper()
	m := s.received(r)
	for _, address := range m.Images {
		if strings.HasPrefix(address, publicURL+"/") {
			s.ask(http.MethodGet, address, http.StatusOK)
			return
		}
	}
	s.Fatalf("%s: nothing in the message of step %s to %s tells that it was opened", s.now(), r.Step, r.Customer)
}

// click follows the first link of a message that leads to the shop.
func (s *stage) click(r *Reaction) {
	s.Helper()
	for _, link := range s.received(r).Links {
		if !strings.HasPrefix(link, publicURL+"/l/") && !strings.HasPrefix(link, publicURL+"/s/") {
			continue
		}
		if to := s.ask(http.MethodGet, link, http.StatusFound); !strings.HasPrefix(to, publicURL+"/") {
			return
		}
	}
	s.Fatalf("%s: the message of step %s to %s has no link that is tracked", s.now(), r.Step, r.Customer)
}

// unsubscribe presses the button of the page that a message's link leads to.
func (s *stage) unsubscribe(r *Reaction) {
	s.Helper()
	for _, link := range s.received(r).Links {
		if strings.HasPrefix(link, publicURL+"/s/") {
			link = s.ask(http.MethodGet, link, http.StatusFound)
		}
		if strings.HasPrefix(link, publicURL+"/u/") {
			s.ask(http.MethodPost, link, http.StatusOK)
			return
		}
	}
	s.Fatalf("%s: the message of step %s to %s has no link to unsubscribe", s.now(), r.Step, r.Customer)
}

// received is the latest message of a step that a customer has.
func (s *stage) received(r *Reaction) *sandbox.Message {
	s.Helper()
	ends := s.ends()
	for i := len(ends) - 1; i >= 0; i-- {
		e := &ends[i]
		if e.customer == r.Customer && e.step == r.Step && (r.Scenario == "" || e.scenario == r.Scenario) && e.message != nil {
			return e.message
		}
	}
	s.Fatalf("%s: %s has no message of step %s; the messages so far are\n%s",
		s.now(), r.Customer, r.Step, table(ends, s.zone))
	return nil
}

// ask asks the gateway as a browser does, and says where it leads to.
func (s *stage) ask(method, address string, status int) (location string) {
	s.Helper()
	r := httptest.NewRequestWithContext(s.ctx, method, address, http.NoBody)
	r.Header.Set("User-Agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1")
	w := httptest.NewRecorder()
	s.gateway.ServeHTTP(w, r)
	if w.Code != status {
		s.Fatalf("%s %s: %d: %s", method, address, w.Code, w.Body)
	}
	return w.Header().Get("Location")
}

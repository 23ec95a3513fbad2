// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tracking reads what the HTTP tracking protocol of Segment and RudderStack says, and writes it as
// the facts that an import of the same would have written.
package tracking

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// The protocol's own limits.
const (
	// MaxBody is how long a request may be.
	MaxBody = 512 << 10
	// MaxCall is how long one call of a batch may be.
	MaxCall = 32 << 10
)

// Anonymous begins the id of a customer of whom only an anonymousId is known. No anonymousId can so be
// taken for the id of somebody else.
const Anonymous = "anonymous:"

// Refusal is a call that was not taken. Item is its place in the batch, from 0.
type Refusal struct {
	Item   int    `json:"item"`
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason"`
}

// Alias says that one customer is another one.
type Alias struct {
	From, To string
	// First says that From is somebody else for ever once it is known to be: what an identify says of the
	// browser or the app it came from. The next who logs in there is not the same person.
	First bool
}

// Facts are what calls say.
type Facts struct {
	Aliases   []Alias
	Customers []store.Customer
	Events    []store.Event
	// Orders are by the ids of the events that tell of them.
	Orders map[string]store.OrderNews
	// Products are the shop's, from elsewhere than the protocol.
	Products []store.Product
}

// Size is how many things the facts are.
func (f *Facts) Size() int {
	return len(f.Aliases) + len(f.Customers) + len(f.Events) + len(f.Products)
}

// Add adds later facts.
func (f *Facts) Add(later *Facts) {
	f.Aliases = append(f.Aliases, later.Aliases...)
	f.Customers = append(f.Customers, later.Customers...)
	f.Events = append(f.Events, later.Events...)
	f.Products = append(f.Products, later.Products...)
	for id, order := range later.Orders {
		f.order(id, order)
	}
}

// order adds what an event tells of an order. Of two events with an id the first holds.
func (f *Facts) order(event string, order store.OrderNews) {
	if _, known := f.Orders[event]; known {
		return
	}
	if f.Orders == nil {
		f.Orders = map[string]store.OrderNews{}
	}
	f.Orders[event] = order
}

// The calls of the protocol. Batch holds any of the others.
const (
	Identify = "identify"
	Track    = "track"
	Page     = "page"
	Screen   = "screen"
	Group    = "group"
	AliasOf  = "alias"
	Batch    = "batch"
)

// Request is the body of a request, read.
type Request struct {
	calls []json.RawMessage
	// sentAt is when the client says it sent them.
	sentAt time.Time
	kind   string
	// WriteKey is the key in the body, which clients send who cannot set a header.
	WriteKey string
}

// ReadBody reads the body of a request to one of the protocol's calls. Its errors are *store.FieldError.
func ReadBody(kind string, body []byte) (*Request, error) {
	var members struct {
		Batch            []json.RawMessage `json:"batch"`
		SentAt, WriteKey json.RawMessage
	}
	if err := json.Unmarshal(body, &members); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field == "batch" {
			return nil, errNoBatch
		}
		return nil, &store.FieldError{Field: "body", Reason: notAnObject(err)}
	}
	r := &Request{calls: members.Batch}
	var err error
	if r.WriteKey, err = text(map[string]json.RawMessage{"writeKey": members.WriteKey}, "writeKey"); err != nil {
		return nil, err
	}
	if r.sentAt, err = moment(map[string]json.RawMessage{"sentAt": members.SentAt}, "sentAt"); err != nil {
		return nil, err
	}
	if kind != Batch {
		r.kind, r.calls = kind, []json.RawMessage{body}
	} else if r.calls == nil {
		return nil, errNoBatch
	}
	return r, nil
}

var errNoBatch = &store.FieldError{Field: "batch", Reason: `is not an array: write it like {"batch": [{"type": "track", …}]}`}

// Calls is how many calls the request has.
func (r *Request) Calls() int { return len(r.calls) }

func notAnObject(err error) string {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Sprintf("is not JSON: %s at byte %d", syntax, syntax.Offset)
	}
	return "is not a JSON object"
}

// Facts are what the calls say, and those that say nothing that can be stored. now is the business time.
func (r *Request) Facts(now time.Time) (*Facts, []Refusal) {
	facts := &Facts{}
	var refused []Refusal
	for i, document := range r.calls {
		if err := r.add(facts, document, now); err != nil {
			refused = append(refused, refusal(i, err))
		}
	}
	return facts, refused
}

func refusal(item int, err error) Refusal {
	var field *store.FieldError
	if errors.As(err, &field) {
		return Refusal{item, field.Field, field.Reason}
	}
	return Refusal{Item: item, Reason: err.Error()}
}

// add adds what a call says.
func (r *Request) add(facts *Facts, document json.RawMessage, now time.Time) error {
	if len(document) > MaxCall {
		return fmt.Errorf("is longer than the %d bytes that a call may have: send less with it", MaxCall)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(document, &members); err != nil || members == nil {
		return errors.New("is not a JSON object")
	}
	c := &call{members: members, kind: r.kind, now: now}
	if err := c.read(r.sentAt); err != nil {
		return err
	}
	return c.add(facts)
}

// text is a member that is a text, or a number as it is written; empty where it is absent.
func text(members map[string]json.RawMessage, name string) (string, error) {
	document := bytes.TrimSpace(members[name])
	switch {
	case len(document) == 0, string(document) == "null":
		return "", nil
	case document[0] == '"':
		if plain := document[1 : len(document)-1]; bytes.IndexByte(plain, '\\') < 0 && utf8.Valid(plain) {
			return strings.TrimSpace(string(plain)), nil // as most are
		}
		var s string
		if err := json.Unmarshal(document, &s); err != nil {
			return "", &store.FieldError{Field: name, Reason: "is not a JSON string"}
		}
		return strings.TrimSpace(s), nil
	case document[0] == '-' || document[0] >= '0' && document[0] <= '9':
		return string(document), nil
	}
	return "", &store.FieldError{Field: name, Reason: "is not a text: write it in quotes"}
}

// object is a member that is an object; nil where it is absent.
func object(members map[string]json.RawMessage, name string) (map[string]json.RawMessage, error) {
	document := members[name]
	if len(document) == 0 {
		return nil, nil
	}
	var o map[string]json.RawMessage
	if err := json.Unmarshal(document, &o); err != nil {
		return nil, &store.FieldError{Field: name, Reason: `is not a JSON object: write it like {"name": "value"}`}
	}
	return o, nil
}

// moment is a member that is a time in ISO 8601; zero where it is absent.
func moment(members map[string]json.RawMessage, name string) (time.Time, error) {
	s, err := text(members, name)
	if err != nil || s == "" {
		return time.Time{}, err
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04:05Z0700", time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, &store.FieldError{Field: name, Reason: "is not a time: write it like 2026-03-01T10:00:00.000Z"}
}

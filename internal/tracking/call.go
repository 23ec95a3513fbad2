// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package tracking

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// The events that calls other than track become.
const (
	eventPage   = "Page Viewed"
	eventScreen = "Screen Viewed"
	eventGroup  = "Group Joined"
)

// call is one call of the protocol.
type call struct {
	members map[string]json.RawMessage
	kind    string
	now     time.Time

	id, user, anonymous string
	at                  time.Time
}

var kinds = []string{Identify, Track, Page, Screen, Group, AliasOf}

// read reads what all calls have.
func (c *call) read(sentAt time.Time) (err error) {
	if c.kind == "" {
		if c.kind, err = text(c.members, "type"); err != nil {
			return err
		}
		if !slices.Contains(kinds, c.kind) {
			return &store.FieldError{Field: "type", Reason: "is none of " + strings.Join(kinds, ", ")}
		}
	}
	if c.user, err = text(c.members, "userId"); err != nil {
		return err
	}
	if c.anonymous, err = text(c.members, "anonymousId"); err != nil {
		return err
	}
	if c.user == "" && c.anonymous == "" {
		return &store.FieldError{Field: "userId", Reason: "is missing, and so is anonymousId: write one of them"}
	}
	if c.anonymous != "" {
		c.anonymous = Anonymous + c.anonymous
		if err := store.CheckID(c.anonymous); err != nil {
			return &store.FieldError{Field: "anonymousId", Reason: err.Error()}
		}
	}
	if c.at, err = c.moment(sentAt); err != nil {
		return err
	}
	if c.id, err = text(c.members, "messageId"); err != nil {
		return err
	}
	if c.id == "" {
		c.id = c.madeUpID()
	}
	return nil
}

// moment is when it happened by the clock of Kaeru. What the client's clock says is held against what it said
// when it sent the call: on the way no time passes that would matter. Nothing happens in the future.
func (c *call) moment(sentAt time.Time) (time.Time, error) {
	at, err := moment(c.members, "timestamp")
	if err != nil {
		return at, err
	}
	if at.IsZero() {
		if at, err = moment(c.members, "originalTimestamp"); err != nil {
			return at, err
		}
	}
	own, err := moment(c.members, "sentAt")
	if err != nil {
		return at, err
	}
	if !own.IsZero() {
		sentAt = own
	}
	switch {
	case at.IsZero():
		return c.now, nil
	case !sentAt.IsZero():
		at = at.Add(c.now.Sub(sentAt))
	}
	if at.After(c.now) {
		at = c.now
	}
	return at, nil
}

// madeUpID is for a call without an id: the same for the same call at the same time, so that one that is sent
// again is known. Without a time it cannot be.
func (c *call) madeUpID() string {
	if c.members["timestamp"] == nil && c.members["originalTimestamp"] == nil {
		return uuid.NewString()
	}
	document, err := json.Marshal(struct {
		Kind    string
		Members map[string]json.RawMessage
	}{c.kind, without(c.members, "sentAt", "writeKey")})
	if err != nil {
		return uuid.NewString()
	}
	sum := sha256.Sum256(document)
	return hex.EncodeToString(sum[:16])
}

func without(members map[string]json.RawMessage, names ...string) map[string]json.RawMessage {
	out := make(map[string]json.RawMessage, len(members))
	for name, document := range members {
		if !slices.Contains(names, name) {
			out[name] = document
		}
	}
	return out
}

// customer is whom the call is about.
func (c *call) customer() string {
	if c.user != "" {
		return c.user
	}
	return c.anonymous
}

// add adds what the call says, all of it or nothing.
func (c *call) add(facts *Facts) error {
	switch c.kind {
	case Identify:
		return c.identify(facts)
	case AliasOf:
		return c.alias(facts)
	case Track:
		name, err := text(c.members, "event")
		if err != nil {
			return err
		}
		if name == "" {
			return &store.FieldError{Field: "event", Reason: "is missing: it is the name of what happened"}
		}
		return c.event(facts, name, "properties", nil)
	case Group:
		group, err := text(c.members, "groupId")
		if err != nil {
			return err
		}
		if group == "" {
			return &store.FieldError{Field: "groupId", Reason: "is missing: it is the id of the group"}
		}
		return c.event(facts, eventGroup, "traits", map[string]json.RawMessage{"group_id": quoted(group)})
	}
	further := map[string]json.RawMessage{}
	for _, name := range []string{"name", "category"} {
		said, err := text(c.members, name)
		if err != nil {
			return err
		}
		if said != "" {
			further[name] = quoted(said)
		}
	}
	name := eventPage
	if c.kind == Screen {
		name = eventScreen
	}
	return c.event(facts, name, "properties", further)
}

func quoted(s string) json.RawMessage {
	document, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings always marshal
	}
	return document
}

// event adds an event with the properties in a member, and further ones.
func (c *call) event(facts *Facts, name, member string, further map[string]json.RawMessage) error {
	e := store.Event{ID: c.id, CustomerID: c.customer(), Name: name, OccurredAt: c.at}
	if document := bytes.TrimSpace(c.members[member]); len(document) > 0 && string(document) != "null" {
		e.Properties = json.RawMessage(document)
	}
	if len(further) > 0 {
		properties, err := object(c.members, member)
		if err != nil {
			return err
		}
		if properties == nil {
			properties = map[string]json.RawMessage{}
		}
		for name, document := range further {
			properties[name] = document
		}
		if e.Properties, err = json.Marshal(properties); err != nil {
			return &store.FieldError{Field: member, Reason: "cannot be written as JSON"}
		}
	}
	if err := e.Validate(); err != nil {
		return named(err, map[string]string{"id": "messageId", "customer_id": "userId", "name": "event", "occurred_at": "timestamp", "properties": member})
	}
	if store.IsOrderEvent(name) {
		order, err := c.order(name)
		if err != nil {
			return err
		}
		facts.order(e.ID, order)
	}
	facts.Events = append(facts.Events, e)
	return nil
}

// identify adds what is said of a customer.
func (c *call) identify(facts *Facts) error {
	traits, err := object(c.members, "traits")
	if err != nil {
		return err
	}
	said, err := customer(c.customer(), traits)
	if err != nil {
		return err
	}
	facts.Customers = append(facts.Customers, said)
	if c.user != "" && c.anonymous != "" {
		facts.Aliases = append(facts.Aliases, Alias{From: c.anonymous, To: c.user, First: true})
	}
	return nil
}

// alias adds that somebody is somebody else. What was an anonymous id may be given without saying so.
func (c *call) alias(facts *Facts) error {
	previous, err := text(c.members, "previousId")
	if err != nil {
		return err
	}
	if c.user == "" {
		return &store.FieldError{Field: "userId", Reason: "is missing: it is the id that the customer has from now on"}
	}
	if previous == "" {
		return &store.FieldError{Field: "previousId", Reason: "is missing: it is the id that the customer had so far"}
	}
	for _, id := range []struct{ field, id string }{{"userId", c.user}, {"previousId", Anonymous + previous}} {
		if err := store.CheckID(id.id); err != nil {
			return &store.FieldError{Field: id.field, Reason: err.Error()}
		}
	}
	if previous == c.user {
		return &store.FieldError{Field: "previousId", Reason: "is the same as userId: write the id that the customer had so far"}
	}
	facts.Aliases = append(facts.Aliases, Alias{From: previous, To: c.user}, Alias{From: Anonymous + previous, To: c.user, First: true})
	return nil
}

// named gives an error's field the name that the protocol has for it.
func named(err error, names map[string]string) error {
	if field, ok := err.(*store.FieldError); ok { //nolint:errorlint // Validate wraps nothing
		if name, known := names[field.Field]; known {
			return &store.FieldError{Field: name, Reason: field.Reason}
		}
		return field
	}
	return fmt.Errorf("the call: %w", err)
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// replyLife is how long a reply token is used. LINE takes it for about a minute.
const replyLife = 50 * time.Second

// lineFacts writes what LINE's users did as events of customers.
type lineFacts struct {
	ns, channel string
	now         time.Time // business time
	machine     time.Time
	customers   map[string]string
	fresh       []*lineEvent
}

func (f *lineFacts) write(ctx context.Context, tx *store.Tx) error {
	if err := f.link(ctx, tx); err != nil {
		return err
	}
	unsent, err := f.takenBack(ctx, tx)
	if err != nil {
		return err
	}
	var events []store.Event
	for _, e := range f.fresh {
		if e.name == "" {
			continue
		}
		if e.message != "" && unsent[e.message] {
			e.properties = map[string]any{propertyEventID: e.id, propertyMessageID: e.message, "type": "unsent"}
			e.replyToken = ""
		}
		e.properties["channel"] = f.channel
		text, err := json.Marshal(e.properties)
		if err != nil {
			return fmt.Errorf("write an event of LINE's: %w", err)
		}
		event := store.Event{ID: e.id, CustomerID: f.customers[e.user], Name: e.name, OccurredAt: time.UnixMilli(e.at).UTC(), Properties: text}
		if event.OccurredAt.After(f.now) {
			event.OccurredAt = f.now // by another's clock
		}
		if event.Validate() != nil {
			continue // of a year, say, that no event is of
		}
		events = append(events, event)
	}
	if len(events) == 0 {
		return nil
	}
	if _, err := tx.UpsertEvents(ctx, f.ns, events, f.now); err != nil {
		return err
	}
	return f.keepReplies(ctx, tx)
}

// takenBack removes what users have taken back, and names the messages that arrive after that.
func (f *lineFacts) takenBack(ctx context.Context, tx *store.Tx) (map[string]bool, error) {
	var writers []string
	unsent := map[string]bool{}
	for _, e := range f.fresh {
		switch {
		case e.unsent != "":
			unsent[e.unsent] = true
			err := tx.RedactEvents(ctx, f.ns, f.customers[e.user], EventLINEMessage, propertyMessageID, e.unsent,
				[]string{"text", "title", "address", "latitude", "longitude", "file_name"})
			if err != nil {
				return nil, err
			}
		case e.message != "":
			writers = append(writers, f.customers[e.user])
		}
	}
	if len(writers) == 0 {
		return unsent, nil
	}
	before, err := tx.EventsSaying(ctx, f.ns, writers, EventLINEUnsent, propertyMessageID)
	for id := range before {
		unsent[id] = true
	}
	return unsent, err
}

// keepReplies keeps the tokens that answer what users said, for the messages that come of it.
func (f *lineFacts) keepReplies(ctx context.Context, tx *store.Tx) error {
	for _, e := range f.fresh {
		if e.replyToken == "" {
			continue
		}
		_, err := tx.Exec(ctx, `INSERT INTO line_replies (ns, event_id, channel, token, expires_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (ns, event_id) DO NOTHING`, f.ns, e.id, f.channel, e.replyToken, f.machine.Add(replyLife).UnixMilli())
		if err != nil {
			return fmt.Errorf("keep what answers an event: %w", err)
		}
	}
	return nil
}

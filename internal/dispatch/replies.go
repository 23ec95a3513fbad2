// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// entryLINE names, in an entry, the event of LINE's that let in, which may be answered.
const entryLINE = "line_event_id"

// reply is what a message to a LINE user answers with. It is the message's own from when its sending begins, and
// until the message has an end: whether one that was begun went out as an answer is seen by it.
type reply struct{ event, token string }

// errReplyGone is what the ledger answers where another message has taken the token, or it is too old now.
var errReplyGone = errors.New("the reply token is not there any more")

// fillReplies finds the reply tokens that messages may go out with: those that are due together with what the
// customer said, and have not waited.
func (e *Engine) fillReplies(ctx context.Context, letters []letter) (err error) {
	of := map[string][]*letter{}
	var ids []string
	var ns string
	for i := range letters {
		l := &letters[i]
		event, ok := l.let[entryLINE].(string)
		if l.kind != string(journey.KindLine) || l.resting || !ok || event == "" {
			continue
		}
		ids, ns = append(ids, event), l.ref.Namespace
		of[event] = append(of[event], l)
	}
	if len(ids) == 0 {
		return nil
	}
	d := e.store.Dialect()
	rows, err := e.store.Query(ctx, `SELECT event_id, channel, token, expires_at, CAST(message_id AS TEXT) FROM line_replies WHERE ns = $1 AND event_id `+d.AnyText(2),
		ns, store.List(d, ids))
	if err != nil {
		return fmt.Errorf("reading what messages answer with: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var r reply
		var channel string
		var expires int64
		var message sql.NullString
		if err := rows.Scan(&r.event, &channel, &r.token, &expires, &message); err != nil {
			return fmt.Errorf("reading what messages answer with: %w", err)
		}
		for _, l := range of[r.event] {
			switch mine := message.String == l.id; {
			case mine && l.state == StateSending:
				l.reply = &r // it went out with it, however long ago
			case mine && expires <= time.Now().UnixMilli():
				l.outlived = true
			case l.state == StatePlanned && channel == l.channel && (mine || !message.Valid) && expires > time.Now().UnixMilli():
				l.reply = &r
			}
		}
	}
	return rows.Err()
}

// claimReplies gives reply tokens to the messages that begin with them, each to one.
func (l *ledger) claimReplies(ctx context.Context, tx *store.Tx, batch []*ledgerEntry) error {
	wanted := map[string]*ledgerEntry{}
	var rows [][]any
	var outlived []string
	for _, e := range batch {
		switch {
		case !e.begin || e.resolve || e.letter == nil || e.refusal != nil:
		case e.letter.reply != nil:
			if e.refusal = errReplyGone; wanted[e.ns+"/"+e.letter.reply.event] == nil {
				wanted[e.ns+"/"+e.letter.reply.event] = e
				rows = append(rows, []any{e.ns, e.letter.reply.event, e.id})
			}
		case e.letter.outlived:
			outlived = append(outlived, e.id)
		}
	}
	if err := forgetReplies(ctx, tx, outlived); err != nil {
		return err
	}
	per := rowsPerStatement(tx.Dialect())
	for at := 0; at < len(rows); at += per {
		values, args := valuesOf(tx.Dialect(), []any{time.Now().UnixMilli()}, []string{"TEXT", "TEXT", "UUID"}, rows[at:min(at+per, len(rows))])
		err := store.Each(ctx, tx, func(claimed *sql.Rows) error {
			var ns, event string
			err := claimed.Scan(&ns, &event)
			if err == nil {
				wanted[ns+"/"+event].refusal = nil
			}
			return err
		}, `WITH v (ns, event_id, message_id) AS (VALUES `+values+`)
UPDATE line_replies SET message_id = v.message_id FROM v
WHERE line_replies.ns = v.ns AND line_replies.event_id = v.event_id AND line_replies.expires_at > $1
  AND (line_replies.message_id IS NULL OR line_replies.message_id = v.message_id)
RETURNING line_replies.ns, line_replies.event_id`, args...)
		if err != nil {
			return fmt.Errorf("claiming reply tokens: %w", err)
		}
	}
	return nil
}

// forgetReplies deletes the reply tokens of messages that need them no longer.
func forgetReplies(ctx context.Context, tx *store.Tx, messages []string) error {
	if len(messages) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `DELETE FROM line_replies WHERE message_id `+tx.Dialect().AnyUUID(1), store.List(tx.Dialect(), messages))
	if err != nil {
		return fmt.Errorf("forgetting reply tokens: %w", err)
	}
	return nil
}

// sweepEvery is how often reply tokens are deleted that nobody used, on machine time.
const sweepEvery = time.Minute

// sweep deletes reply tokens that are too old, but for those of messages of which nobody knows yet what became.
func (e *Engine) sweep(ctx context.Context) error {
	if time.Since(e.swept) < sweepEvery {
		return nil
	}
	_, err := e.store.Exec(ctx, `DELETE FROM line_replies WHERE expires_at < $1 AND (message_id IS NULL
  OR NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = line_replies.message_id AND m.state = 'sending'))`, time.Now().UnixMilli())
	if err != nil {
		return fmt.Errorf("deleting reply tokens: %w", err)
	}
	e.swept = time.Now()
	return nil
}

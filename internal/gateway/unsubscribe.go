// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// maxForm is more than any form or callback needs.
const maxForm = 64 << 10

// askUnsubscribe shows a page with a button. It changes nothing: mail scanners follow every link.
func (g *Gateway) askUnsubscribe(w http.ResponseWriter, r *http.Request) {
	claims, err := g.Links.Verify(content.Unsubscribe, r.PathValue("token"))
	if err != nil {
		g.invalidLink(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), writePatience)
	defer cancel()
	m, err := findMessage(ctx, g.Store, claims.Namespace, claims.Message)
	switch {
	case errors.Is(err, errErased):
		g.page(w, r, http.StatusOK, pageDone, claims.Namespace)
	case store.IsNotFound(err):
		g.invalidLink(w, r)
	case err != nil:
		g.Log.Error(err, "Could not show a page")
		g.tryAgain(w, r)
	default:
		g.linkedPage(w, r, pageAsk, m, claims)
	}
}

// unsubscribe withdraws the consent to the channel of the message that held the link. What the body
// says does not matter, so it serves the page's button and a mail program's one click (RFC 8058),
// which comes without cookies and is known by its token alone.
func (g *Gateway) unsubscribe(w http.ResponseWriter, r *http.Request) {
	claims, err := g.Links.Verify(content.Unsubscribe, r.PathValue("token"))
	if err != nil {
		g.invalidLink(w, r)
		return
	}
	_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxForm))
	now, agent := g.Clock.Now(), clean(r.UserAgent())
	var m message
	found, erased := false, false
	err = g.writer.write(r.Context(), func(ctx context.Context, tx *store.Tx) (_ ref, err error) {
		m, err = findMessage(ctx, tx, claims.Namespace, claims.Message)
		if found = err == nil; !found {
			erased = errors.Is(err, errErased)
			if store.IsNotFound(err) {
				err = nil
			}
			return ref{}, err
		}
		withdrawn, err := tx.SetConsents(ctx, m.ns, m.customer, []store.Said{{Channel: m.kind, State: store.ConsentWithdrawn}}, store.SourceUnsubscribe, now)
		if err != nil {
			return ref{}, err
		}
		rec := receipt{id: receiptUnsubscribed + "/" + m.id, kind: receiptUnsubscribed, detail: map[string]string{"agent": agent}}
		fresh, err := rec.insert(ctx, tx, m, now)
		if err != nil || withdrawn == 0 && !fresh {
			return ref{}, err
		}
		return ref{m.ns, m.scenario}, nil
	})
	switch {
	case err != nil:
		g.tryAgain(w, r)
	case erased:
		g.page(w, r, http.StatusOK, pageDone, claims.Namespace)
	case !found:
		g.invalidLink(w, r)
	default:
		g.linkedPage(w, r, pageDone, m, claims)
	}
}

// undo gives back the consent that the link's unsubscription took, where there was one. Anybody else's
// word about it, and what was said since, stays.
func (g *Gateway) undo(w http.ResponseWriter, r *http.Request) {
	claims, err := g.Links.Verify(content.Unsubscribe, r.PathValue("token"))
	if err != nil {
		g.invalidLink(w, r)
		return
	}
	_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxForm))
	preferences, err := g.Links.Sign(content.Preferences, claims)
	if err != nil {
		g.invalidLink(w, r)
		return
	}
	now := g.Clock.Now()
	found, undone := false, false
	err = g.writer.write(r.Context(), func(ctx context.Context, tx *store.Tx) (_ ref, err error) {
		m, err := findMessage(ctx, tx, claims.Namespace, claims.Message)
		if err == nil {
			err = tx.LockCustomer(ctx, m.ns, m.customer)
		}
		if found = err == nil; !found {
			if store.IsNotFound(err) {
				err = nil
			}
			return ref{}, err
		}
		var before string
		err = tx.QueryRow(ctx, `SELECT h.state FROM consents c JOIN consent_changes h ON h.ns = c.ns AND h.customer_id = c.customer_id
  AND h.channel = c.channel AND h.purpose = '' AND (h.changed_at < c.changed_at OR h.changed_at = c.changed_at AND h.state <> c.state)
WHERE c.ns = $1 AND c.customer_id = $2 AND c.channel = $3 AND c.state = 'withdrawn' AND c.source = $4
ORDER BY h.changed_at DESC, h.state LIMIT 1`, m.ns, m.customer, m.kind, store.SourceUnsubscribe).Scan(&before)
		if err != nil && !store.IsNotFound(err) {
			return ref{}, fmt.Errorf("read what was said before: %w", err)
		}
		if undone = before == store.ConsentGranted; !undone {
			return ref{}, nil
		}
		_, err = tx.SetConsents(ctx, m.ns, m.customer, []store.Said{{Channel: m.kind, State: store.ConsentGranted}}, store.SourceUndo, now)
		return ref{m.ns, m.scenario}, err
	})
	switch {
	case err != nil:
		g.tryAgain(w, r)
	case !found:
		g.invalidLink(w, r)
	default:
		notice := ""
		if undone {
			notice = noticeUndone
		}
		seeOther(w, r, "../../p/"+preferences, notice)
	}
}

func (g *Gateway) invalidLink(w http.ResponseWriter, r *http.Request) {
	g.page(w, r, http.StatusNotFound, pageInvalid, "")
}

func (g *Gateway) tryAgain(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", retryAfter)
	g.page(w, r, http.StatusServiceUnavailable, pageLater, "")
}

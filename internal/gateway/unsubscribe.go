// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
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
	case store.IsNotFound(err):
		g.invalidLink(w, r)
	case err != nil:
		g.Log.Error(err, "Could not show a page")
		g.tryAgain(w, r)
	default:
		g.page(w, r, http.StatusOK, pageAsk, m.ns, m.kind)
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
	found := false
	err = g.writer.write(r.Context(), func(ctx context.Context, tx *store.Tx) (_ ref, err error) {
		m, err = findMessage(ctx, tx, claims.Namespace, claims.Message)
		if found = err == nil; !found {
			if store.IsNotFound(err) {
				err = nil
			}
			return ref{}, err
		}
		// Consent that was given again since is withdrawn again. What the customer has withdrawn keeps its
		// date; what only a file had says from now on that it was the customer, whom no file overrides.
		withdrawn, err := exec(ctx, tx, `INSERT INTO consents (ns, customer_id, channel, state, source, changed_at)
VALUES ($1, $2, $3, 'withdrawn', 'unsubscribe', $4)
ON CONFLICT (ns, customer_id, channel) DO UPDATE SET state = excluded.state, source = excluded.source, changed_at = excluded.changed_at
WHERE consents.state <> 'withdrawn' OR consents.source = 'import'`, m.ns, m.customer, m.kind, store.Millis(now))
		if err != nil {
			return ref{}, fmt.Errorf("withdraw a consent: %w", err)
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
	case !found:
		g.invalidLink(w, r)
	default:
		g.page(w, r, http.StatusOK, pageDone, m.ns, m.kind)
	}
}

func (g *Gateway) invalidLink(w http.ResponseWriter, r *http.Request) {
	g.page(w, r, http.StatusNotFound, pageInvalid, "", "")
}

func (g *Gateway) tryAgain(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", retryAfter)
	g.page(w, r, http.StatusServiceUnavailable, pageLater, "", "")
}

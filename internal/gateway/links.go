// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// pixel is a transparent GIF of one by one.
var pixel, _ = base64.StdEncoding.DecodeString("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")

// clickPatience is how long somebody who follows a link is kept waiting for the click to be written.
const clickPatience = 2 * time.Second

func (g *Gateway) open(w http.ResponseWriter, r *http.Request) {
	claims, err := g.Links.Verify(content.Open, r.PathValue("token"))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	if err := g.writer.write(r.Context(), g.engage(r, receiptOpened, claims.Namespace, claims.Message, "")); err != nil {
		unavailable(w)
		return
	}
	w.Header().Set("Content-Type", "image/gif")
	w.Header().Set("Content-Length", strconv.Itoa(len(pixel)))
	_, _ = w.Write(pixel)
}

func (g *Gateway) click(w http.ResponseWriter, r *http.Request) {
	claims, err := g.Links.Verify(content.Click, r.PathValue("token"))
	if err != nil {
		g.invalidLink(w, r)
		return
	}
	g.countClick(r, claims.Namespace, claims.Message, strconv.Itoa(claims.Index))
	redirect(w, claims.URL)
}

// short answers a short link, which is a row; nothing signs it, so guessing costs the store a lookup.
func (g *Gateway) short(w http.ResponseWriter, r *http.Request) {
	code := r.PathValue("code")
	who := client(r)
	if !validCode(code) {
		g.invalidLink(w, r)
		return
	}
	if g.misses.exhausted(who) {
		w.Header().Set("Retry-After", retryAfter)
		http.Error(w, "too many links that do not exist", http.StatusTooManyRequests)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), writePatience)
	defer cancel()
	var ns, message, kind, target string
	err := g.Store.QueryRow(ctx, `SELECT ns, CAST(message_id AS TEXT), kind, url FROM links WHERE code = $1`, code).Scan(&ns, &message, &kind, &target)
	if store.IsNotFound(err) {
		g.misses.add(who)
		g.invalidLink(w, r)
		return
	}
	if err != nil {
		g.Log.Error(err, "Could not look up a short link")
		g.tryAgain(w, r)
		return
	}
	id, err := uuid.Parse(message)
	if err != nil {
		g.Log.Error(err, "A short link names no message")
		g.invalidLink(w, r)
		return
	}
	if kind == string(content.Click) {
		g.countClick(r, ns, id, code)
	}
	redirect(w, target)
}

// countClick records a click, as far as the store does so in time.
func (g *Gateway) countClick(r *http.Request, ns string, message uuid.UUID, link string) {
	ctx, cancel := context.WithTimeout(r.Context(), clickPatience)
	defer cancel()
	if err := g.writer.write(ctx, g.engage(r, receiptClicked, ns, message, link)); err != nil {
		g.Log.Error(err, "A click may not have been counted", "namespace", ns, "message", message)
	}
}

// engage records that a message was opened or clicked. Requests within one second of business time
// are one receipt, so that nobody can fill the store by asking again and again.
//
// Who clicks in a mail has seen it: that is an open too, and often the only sign of one, since many
// mail programs load no pictures. An open says nothing else.
func (g *Gateway) engage(r *http.Request, kind, ns string, id uuid.UUID, link string) change {
	now := g.Clock.Now()
	byMachine := isMachine(r)
	rec := receipt{
		id:      fmt.Sprintf("%s/%s/%s/%t/%d", kind, id, clean(link), byMachine, now.Unix()),
		kind:    kind,
		detail:  map[string]string{"agent": clean(r.UserAgent()), "method": r.Method},
		machine: byMachine,
	}
	if link != "" {
		rec.detail["link"] = clean(link)
	}
	return func(ctx context.Context, tx *store.Tx) (ref, error) {
		m, err := findMessage(ctx, tx, ns, id)
		if store.IsNotFound(err) {
			return ref{}, nil // a test mail, or one whose rows have been deleted
		}
		if err != nil {
			return ref{}, err
		}
		if fresh, err := rec.insert(ctx, tx, m, now); err != nil || !fresh || rec.machine {
			return ref{}, err
		}
		if kind == receiptClicked {
			if filter, err := scanned(ctx, tx, m, now); err != nil || filter {
				return ref{m.ns, m.scenario}, err
			}
		}
		set := `UPDATE messages SET opened_at = $2 WHERE id = $1 AND opened_at IS NULL`
		if kind == receiptClicked {
			set = `UPDATE messages SET clicked_at = $2,
  opened_at = CASE WHEN kind = 'email' AND opened_at IS NULL THEN $2 ELSE opened_at END
WHERE id = $1 AND clicked_at IS NULL`
		}
		changed, err := exec(ctx, tx, set, m.id, store.Millis(now))
		if err != nil {
			return ref{}, fmt.Errorf("mark a message as %s: %w", kind, err)
		}
		if changed == 0 {
			return ref{}, nil
		}
		return ref{m.ns, m.scenario}, syncEngagements(ctx, tx, m)
	}
}

// redirect sends the client on. http.Redirect would write the target into a body too, and mend
// addresses that are not its own.
func redirect(w http.ResponseWriter, target string) {
	w.Header().Set("Location", asciiURL(target))
	w.WriteHeader(http.StatusFound)
}

// asciiURL escapes what a header must not hold. Shops' addresses often have Japanese in their paths.
func asciiURL(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// validCode keeps from the store what no code can be.
func validCode(code string) bool {
	if code == "" || len(code) > 64 {
		return false
	}
	for _, c := range []byte(code) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

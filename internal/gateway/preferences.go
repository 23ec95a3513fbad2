// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/kaeru-dev/kaeru/internal/content"
	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// The page's own notices, as its address has them after something was saved.
const (
	noticeSaved   = "saved"
	noticeStopped = "stopped"
	noticeUndone  = "undone"
)

// showPreferences is the customer's own page. The token is all that lets somebody in, as with every link
// in a message: there are no cookies, so there is nothing that another site could use in their name.
func (g *Gateway) showPreferences(w http.ResponseWriter, r *http.Request) {
	claims, err := g.Links.Verify(content.Preferences, r.PathValue("token"))
	if err != nil {
		g.invalidLink(w, r)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), writePatience)
	defer cancel()
	var who preferences
	m, err := findMessage(ctx, g.Store, claims.Namespace, claims.Message)
	if err == nil {
		who, err = readPreferences(ctx, g.Store, m.ns, m.customer)
	}
	switch {
	case store.IsNotFound(err):
		g.invalidLink(w, r)
	case err != nil:
		g.Log.Error(err, "Could not show a page")
		g.tryAgain(w, r)
	default:
		g.preferencesPage(w, r, m.ns, who)
	}
}

// savePreferences writes what the customer changed on the page, and leads back to it.
func (g *Gateway) savePreferences(w http.ResponseWriter, r *http.Request) {
	claims, err := g.Links.Verify(content.Preferences, r.PathValue("token"))
	if err != nil {
		g.invalidLink(w, r)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	var chosen choice
	if err = r.ParseForm(); err == nil {
		chosen, err = readChoice(r.PostForm, g.Shop(claims.Namespace).Purposes)
	}
	if err != nil {
		g.page(w, r, http.StatusBadRequest, pageUnread, claims.Namespace)
		return
	}
	now := g.Clock.Now()
	found := false
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
		if frequency := chosen.attribute(); frequency != nil {
			_, err := tx.UpsertCustomers(ctx, m.ns, []store.Customer{{ID: m.customer, Attributes: map[string]json.RawMessage{dispatch.AttributeFrequency: frequency}}}, now)
			if err != nil {
				return ref{}, fmt.Errorf("keep how often: %w", err)
			}
		}
		_, err = tx.SetConsents(ctx, m.ns, m.customer, chosen.said, store.SourcePreferences, now)
		return ref{m.ns, m.scenario}, err
	})
	switch {
	case err != nil:
		g.tryAgain(w, r)
	case !found:
		g.invalidLink(w, r)
	default:
		notice := noticeSaved
		if chosen.stop {
			notice = noticeStopped
		}
		seeOther(w, r, "", notice)
	}
}

// seeOther leads to a page with a notice, by an address that is relative: a proxy may have taken away the
// beginning of the path. Loading that page again does nothing again.
func seeOther(w http.ResponseWriter, r *http.Request, path, notice string) {
	query := url.Values{"notice": {notice}}
	if lang := r.URL.Query().Get("lang"); wordings[lang].button != "" {
		query.Set("lang", lang)
	}
	w.Header().Set("Location", path+"?"+query.Encode())
	w.WriteHeader(http.StatusSeeOther)
}

// preferences are what the page shows of a customer.
type preferences struct {
	email, phone, line string
	frequency          string
	granted            map[string]bool // by channel
	withdrawn          map[string]bool // by channel/purpose
	suppressed         map[string]bool // by channel
}

func readPreferences(ctx context.Context, q store.Querier, ns, customer string) (p preferences, err error) {
	var attributes []byte
	err = q.QueryRow(ctx, `SELECT COALESCE(email, ''), COALESCE(phone, ''), COALESCE(line_user_id, ''), attributes FROM customers WHERE ns = $1 AND id = $2`,
		ns, customer).Scan(&p.email, &p.phone, &p.line, &attributes)
	if err != nil {
		return preferences{}, fmt.Errorf("read a customer: %w", err)
	}
	var said map[string]any
	if err := json.Unmarshal(attributes, &said); err == nil {
		p.frequency, _ = said[dispatch.AttributeFrequency].(string)
	}
	p.granted, p.withdrawn, p.suppressed = map[string]bool{}, map[string]bool{}, map[string]bool{}
	for into, query := range map[*map[string]bool]string{
		&p.granted:   `SELECT channel FROM consents WHERE ns = $1 AND customer_id = $2 AND state = 'granted'`,
		&p.withdrawn: `SELECT channel || '/' || purpose FROM purpose_consents WHERE ns = $1 AND customer_id = $2 AND state = 'withdrawn'`,
		&p.suppressed: `SELECT s.channel FROM customers c JOIN suppressions s ON s.ns = c.ns
  AND s.address = CASE s.channel WHEN 'email' THEN c.email WHEN 'line' THEN c.line_user_id WHEN 'sms' THEN c.phone END
WHERE c.ns = $1 AND c.id = $2`,
	} {
		if err := readSet(ctx, q, *into, query, ns, customer); err != nil {
			return preferences{}, fmt.Errorf("read what a customer said: %w", err)
		}
	}
	return p, nil
}

func readSet(ctx context.Context, q store.Querier, into map[string]bool, query string, args ...any) error {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		into[name] = true
	}
	return rows.Err()
}

// address is where a kind of channel reaches the customer.
func (p *preferences) address(channel string) string {
	return map[string]string{store.ChannelEmail: p.email, store.ChannelLINE: p.line, store.ChannelSMS: p.phone}[channel]
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"context"
	"fmt"

	"github.com/kaeru-dev/kaeru/internal/content/liquid"
)

// message renders the fields of one message with the same data.
type message struct {
	ctx   context.Context
	env   liquid.Env
	links Links
	// tracked holds the links by their addresses.
	tracked map[string]string
	own     bool // links.… are in env, at full length
	// short says that addresses have to be short, and collects them.
	short bool
	rows  []ShortLink
}

func newMessage(ctx context.Context, data *Data, links Links) *message {
	m := &message{ctx: ctx, links: links}
	m.env = liquid.Env{
		Vars:     make(map[string]any, 8),
		Location: data.Location,
		Currency: data.Currency,
		Link:     m.link,
	}
	for name, v := range map[string]map[string]any{
		"customer": data.Customer, "entry": data.Entry, "coupon": data.Coupon, "shop": data.Shop,
	} {
		// A nil map in an interface would not be nil.
		if v != nil {
			m.env.Vars[name] = v
		}
	}
	if data.Recommendations != nil {
		m.env.Vars["recommendations"] = data.Recommendations
	}
	return m
}

func (m *message) render(t *template) (liquid.Result, error) {
	if t.Uses("links") && (m.short || !m.own) {
		if err := m.addOwnLinks(t); err != nil {
			return liquid.Result{}, err
		}
	}
	res, err := t.Render(m.ctx, &m.env)
	if err != nil {
		return res, fieldError(t.field, err, t.lines)
	}
	return res, nil
}

// addOwnLinks makes links.… only for templates that use them, since each costs a signature.
func (m *message) addOwnLinks(t *template) error {
	if m.links.Signer == nil {
		return nil
	}
	vars := make(map[string]any, 2)
	for name, kind := range map[string]Kind{"unsubscribe": Unsubscribe, "preferences": Preferences} {
		address, err := m.links.own(kind)
		if err != nil {
			return fmt.Errorf("making the link to %s: %w", name, err)
		}
		if m.short {
			// Only what is read becomes a row.
			if !t.Uses("links." + name) {
				continue
			}
			address = m.shorten(kind, address)
		}
		vars[name] = address
	}
	m.env.Vars["links"] = vars
	m.own = !m.short
	return nil
}

func (m *message) shorten(kind Kind, target string) string {
	address, row := m.links.short(kind, target)
	for _, r := range m.rows {
		if r == row {
			return address
		}
	}
	m.rows = append(m.rows, row)
	return address
}

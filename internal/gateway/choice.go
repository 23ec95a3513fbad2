// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// The fields of the page's form. Of each box there is what it said when the page was made: only what the
// customer changed is written, and not what somebody else changed meanwhile.
const (
	fieldOn           = "on"            // email, or email/news: a box that is ticked
	fieldWas          = "was"           // email=1, or email/news=0: how it was
	fieldFrequency    = "frequency"     // all, weekly, monthly or none
	fieldFrequencyWas = "frequency_was" // the same
	fieldStop         = "stop"          // the button that ends everything
)

// frequencyAll is all there is, which no attribute says.
const frequencyAll = "all"

var frequencies = []string{frequencyAll, dispatch.FrequencyWeekly, dispatch.FrequencyMonthly, dispatch.FrequencyNone}

// maxBoxes bounds what a form may say.
const maxBoxes = 200

var errForm = errors.New("the form is not one of the page's")

// choice is what a form says.
type choice struct {
	stop      bool
	said      []store.Said
	frequency string // empty: as it was
}

// attribute is what the customer's attribute is to be; nil for what it is.
func (c *choice) attribute() json.RawMessage {
	switch c.frequency {
	case "":
		return nil
	case frequencyAll:
		return json.RawMessage("null")
	}
	return json.RawMessage(`"` + c.frequency + `"`)
}

// readChoice reads a form. Of purposes that the shop does not have any more it takes nothing.
func readChoice(form url.Values, purposes []journey.Purpose) (choice, error) {
	if form.Has(fieldStop) {
		c := choice{stop: true}
		for _, channel := range store.Channels {
			c.said = append(c.said, store.Said{Channel: channel, State: store.ConsentWithdrawn})
		}
		return c, nil
	}
	if len(form[fieldWas]) > maxBoxes || len(form[fieldOn]) > maxBoxes {
		return choice{}, errForm
	}
	var c choice
	seen := map[string]bool{}
	for _, was := range form[fieldWas] {
		box, state, _ := strings.Cut(was, "=")
		if state != "0" && state != "1" {
			return choice{}, errForm
		}
		on := slices.Contains(form[fieldOn], box)
		if on == (state == "1") || seen[box] {
			continue
		}
		seen[box] = true
		channel, purpose, about := strings.Cut(box, "/")
		if !slices.Contains(store.Channels, channel) {
			return choice{}, errForm
		}
		if about && !slices.ContainsFunc(purposes, func(p journey.Purpose) bool { return p.Name == purpose }) {
			continue
		}
		said := store.Said{Channel: channel, Purpose: purpose, State: store.ConsentWithdrawn}
		if on {
			said.State = store.ConsentGranted
		}
		c.said = append(c.said, said)
	}
	if f := form.Get(fieldFrequency); f != form.Get(fieldFrequencyWas) {
		if !slices.Contains(frequencies, f) {
			return choice{}, errForm
		}
		c.frequency = f
	}
	return c, nil
}

// masked is enough of an address to know it by, and no more: whoever has got hold of a message can open
// the page.
func masked(channel, address string) string {
	switch channel {
	case store.ChannelEmail:
		name, domain, ok := strings.Cut(address, "@")
		if !ok || name == "" {
			return "•••"
		}
		first := []rune(name)[:1]
		return fmt.Sprintf("%s•••@%s", string(first), domain)
	case store.ChannelSMS:
		if len(address) < 8 {
			return "•••"
		}
		return "••• " + address[len(address)-4:]
	}
	return "" // the id of a LINE user says nothing to them
}

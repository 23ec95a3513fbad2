// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package preview

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/kaeru-dev/kaeru/internal/dispatch"
	"github.com/kaeru-dev/kaeru/internal/journey"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// maxCustomer bounds a file that describes one customer.
const maxCustomer = 1 << 20

// customerFile is a customer as import reads one from JSON lines, where any further name is an attribute, with
// what the store would know beside that.
type customerFile struct {
	ID           string         `json:"id"`
	Email        string         `json:"email"`
	Phone        string         `json:"phone"`
	LineUserID   string         `json:"line_user_id"`
	Attributes   map[string]any `json:"attributes"`
	ConsentEmail any            `json:"consent_email"`
	ConsentLine  any            `json:"consent_line"`
	ConsentSMS   any            `json:"consent_sms"`

	Orders          int64             `json:"orders"`
	Spend           float64           `json:"spend"`
	FirstOrderAt    *time.Time        `json:"first_order_at"`
	LastOrderAt     *time.Time        `json:"last_order_at"`
	PreviousOrderAt *time.Time        `json:"previous_order_at"`
	Suppressed      map[string]string `json:"suppressed"`
	Entry           map[string]any    `json:"entry"`
	Coupon          map[string]any    `json:"coupon"`
	Recommendations []map[string]any  `json:"recommendations"`
}

// fileFields are the names that are no attributes.
var fileFields = []string{"id", "email", "phone", "line_user_id", "attributes", "consent_email", "consent_line", "consent_sms",
	"orders", "spend", "average", "first_order_at", "last_order_at", "previous_order_at", "suppressed", "entry", "coupon", "recommendations"}

// ReadCustomer reads a customer from a JSON or YAML file.
func ReadCustomer(path string) (*dispatch.Recipient, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--customer: %w", err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxCustomer+1))
	if err != nil {
		return nil, fmt.Errorf("--customer: %w", err)
	}
	if len(text) > maxCustomer {
		return nil, fmt.Errorf("--customer %s is larger than %d MiB: it describes one customer", path, maxCustomer>>20)
	}
	r, err := parseCustomer(text)
	if err != nil {
		return nil, fmt.Errorf("--customer %s: %w", path, err)
	}
	return r, nil
}

func parseCustomer(text []byte) (*dispatch.Recipient, error) {
	var c customerFile
	if err := yaml.Unmarshal(text, &c); err != nil {
		return nil, err
	}
	var all map[string]any
	if err := yaml.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	if c.ID == "" {
		return nil, errors.New("id is missing: write the customer's id")
	}
	r := &dispatch.Recipient{ID: c.ID, Facts: map[string]any{}, Addresses: map[string]string{}, Consents: map[string]string{},
		Suppressed: c.Suppressed, Steps: map[string]journey.StepResult{}, Won: map[string]string{}, Coupon: c.Coupon, Recommended: c.Recommendations}
	for name, v := range c.Attributes {
		r.Facts[name] = v
	}
	for name, v := range all {
		if !slices.Contains(fileFields, name) {
			r.Facts[name] = v
		}
	}
	for _, has := range []struct{ kind, name, value string }{
		{store.ChannelEmail, "email", c.Email}, {store.ChannelSMS, "phone", c.Phone}, {store.ChannelLINE, "line_user_id", c.LineUserID},
	} {
		if has.value == "" {
			continue
		}
		address, err := store.NormalizeAddress(has.kind, strings.TrimSpace(has.value))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", has.name, err)
		}
		r.Addresses[has.kind], r.Facts[has.name] = address, address
	}
	for kind, said := range map[string]any{store.ChannelEmail: c.ConsentEmail, store.ChannelLINE: c.ConsentLine, store.ChannelSMS: c.ConsentSMS} {
		state, err := consentOf(said)
		if err != nil {
			return nil, fmt.Errorf("consent_%s: %w", kind, err)
		}
		if state != "" {
			r.Consents[kind] = state
		}
	}
	r.Facts["id"], r.Facts["orders"], r.Facts["spend"], r.Facts["average"] = c.ID, c.Orders, c.Spend, 0.0
	if c.Orders > 0 {
		r.Facts["average"] = c.Spend / float64(c.Orders)
	}
	for name, at := range map[string]*time.Time{"first_order_at": c.FirstOrderAt, "last_order_at": c.LastOrderAt, "previous_order_at": c.PreviousOrderAt} {
		if at != nil {
			r.Facts[name] = *at
		}
	}
	if c.Entry != nil {
		entry, err := json.Marshal(c.Entry)
		if err != nil {
			return nil, fmt.Errorf("entry: %w", err)
		}
		if r.Entry, err = journey.ReadEntry(entry); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// consentOf reads a consent as import does.
func consentOf(said any) (string, error) {
	switch strings.ToLower(fmt.Sprint(said)) {
	case "<nil>", "":
		return "", nil
	case "true", "yes", "1", store.ConsentGranted:
		return store.ConsentGranted, nil
	case "false", "no", "0", store.ConsentWithdrawn:
		return store.ConsentWithdrawn, nil
	}
	return "", errors.New("is neither true nor false: write true, false, granted or withdrawn")
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package tracking

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kaeru-dev/kaeru/internal/store"
)

var now = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

// facts reads a call.
func facts(t *testing.T, kind, body string) (*Facts, []Refusal) {
	t.Helper()
	r, err := ReadBody(kind, []byte(body))
	if err != nil {
		return &Facts{}, []Refusal{refusal(0, err)}
	}
	return r.Facts(now)
}

func TestMoments(t *testing.T) {
	for name, tt := range map[string]struct {
		says string
		want time.Time
	}{
		"nothing":                        {``, now},
		"a time":                         {`, "timestamp": "2026-03-01T08:00:00Z"`, now.Add(-time.Hour)},
		"a time in another zone":         {`, "timestamp": "2026-03-01T17:00:00+09:00"`, now.Add(-time.Hour)},
		"without a zone":                 {`, "timestamp": "2026-03-01T08:00:00.500"`, now.Add(-time.Hour + 500*time.Millisecond)},
		"by a clock that is a year fast": {`, "timestamp": "2027-03-01T08:00:00Z", "sentAt": "2027-03-01T08:30:00Z"`, now.Add(-30 * time.Minute)},
		"by a clock that is slow":        {`, "originalTimestamp": "1970-01-01T00:00:00Z", "sentAt": "1970-01-01T00:00:02Z"`, now.Add(-2 * time.Second)},
		"both":                           {`, "originalTimestamp": "2026-03-01T08:59:00Z", "timestamp": "2026-02-01T09:00:00Z", "sentAt": "2026-03-01T09:00:00Z"`, now.AddDate(0, 0, -28)},
		"in the future":                  {`, "timestamp": "2026-03-01T09:00:01Z"`, now},
		"after it was sent":              {`, "timestamp": "2026-03-01T10:00:00Z", "sentAt": "2026-03-01T09:00:00Z"`, now},
		"null":                           {`, "timestamp": null, "sentAt": null`, now},
	} {
		got, refused := facts(t, Track, `{"userId": "anna", "event": "Seen"`+tt.says+`}`)
		if len(refused) > 0 || !got.Events[0].OccurredAt.Equal(tt.want) {
			t.Errorf("%s: %v, want %s, %v", name, got.Events, tt.want, refused)
		}
	}
	// What the batch says holds for the calls that do not.
	got, refused := facts(t, Batch, `{"sentAt": "2026-03-01T10:00:00Z", "batch": [{"type": "track", "userId": "anna", "event": "Seen", "timestamp": "2026-03-01T09:30:00Z"}]}`)
	if len(refused) > 0 || !got.Events[0].OccurredAt.Equal(now.Add(-30*time.Minute)) {
		t.Errorf("%v, %v", got.Events, refused)
	}
}

func TestCalls(t *testing.T) {
	for name, tt := range map[string]struct{ kind, body, want string }{
		"a user's":           {Track, `{"userId": "anna", "anonymousId": "b", "event": "Seen", "properties": {"a": 1}}`, `event anna Seen {"a":1}`},
		"a visitor's":        {Track, `{"anonymousId": "b", "event": "Seen"}`, `event anonymous:b Seen {}`},
		"a number as an id":  {Track, `{"userId": 7, "event": "Seen", "properties": null}`, `event 7 Seen {}`},
		"a page":             {Page, `{"userId": "anna", "name": "Home", "category": "Start", "properties": {"url": "/"}}`, `event anna Page Viewed {"category":"Start","name":"Home","url":"/"}`},
		"a page and no more": {Page, `{"userId": "anna"}`, `event anna Page Viewed {}`},
		"a screen":           {Screen, `{"userId": "anna", "name": "Cart"}`, `event anna Screen Viewed {"name":"Cart"}`},
		"a group":            {Group, `{"userId": "anna", "groupId": "club", "traits": {"plan": "gold"}}`, `event anna Group Joined {"group_id":"club","plan":"gold"}`},
		"an alias":           {AliasOf, `{"userId": "anna", "previousId": "b"}`, `alias b anna false|alias anonymous:b anna true`},
		"who it is":          {Identify, `{"userId": "anna", "anonymousId": "b"}`, `customer anna|alias anonymous:b anna true`},
		"a visitor's traits": {Identify, `{"anonymousId": "b", "traits": {"id": 9, "lineUserId": "U1", "consent_line": false, "phone": "+81 90-1234-5678", "age": 30}}`, `customer anonymous:b phone=+819012345678 line=U1 age=30 line:withdrawn`},
		"an order": {Track, `{"userId": "anna", "event": "Order Completed", "messageId": "m", "properties": {"order_id": 12, "revenue": "1e3", "total": 0.30000000000000004, "products": [{"price": 3, "sku": "x"}]}}`,
			`order 12 0.3 1|event anna Order Completed {"order_id":12,"products":[{"price":3,"sku":"x"}],"revenue":"1e3","total":0.30000000000000004}`},
		"one that is paid back": {Track, `{"userId": "anna", "event": "Order Refunded", "messageId": "m", "properties": {"order_id": "o"}}`, `order o 0 0|event anna Order Refunded {"order_id":"o"}`},
	} {
		got, refused := facts(t, tt.kind, tt.body)
		if diff := cmp.Diff(tt.want, show(got)); diff != "" || len(refused) > 0 {
			t.Errorf("%s: %v %s", name, refused, diff)
		}
	}
}

func show(f *Facts) string {
	var out []string
	for _, o := range f.Orders {
		out = append(out, fmt.Sprintf("order %s %s %d", o.ID, o.Total, len(o.Items)))
	}
	for i := range f.Customers {
		c := &f.Customers[i]
		s := "customer " + c.ID
		for _, field := range []struct {
			name  string
			field store.Field[string]
		}{{"email", c.Email}, {"phone", c.Phone}, {"line", c.LineUserID}} {
			if v, ok := field.field.Get(); ok {
				s += " " + field.name + "=" + v
			}
		}
		for name, document := range c.Attributes {
			s += " " + name + "=" + string(document)
		}
		for channel, state := range c.Consents {
			s += " " + channel + ":" + state
		}
		out = append(out, s)
	}
	for _, a := range f.Aliases {
		out = append(out, fmt.Sprintf("alias %s %s %t", a.From, a.To, a.First))
	}
	for i := range f.Events {
		e := &f.Events[i]
		out = append(out, "event "+e.CustomerID+" "+e.Name+" "+string(e.Properties))
	}
	return strings.Join(out, "|")
}

func TestRefused(t *testing.T) {
	for name, tt := range map[string]struct{ kind, body, field string }{
		"nobody":                      {Track, `{"event": "Seen"}`, "userId"},
		"an empty user":               {Track, `{"userId": " ", "event": "Seen"}`, "userId"},
		"a user that is an object":    {Track, `{"userId": {}, "event": "Seen"}`, "userId"},
		"a user that is too long":     {Track, `{"userId": "` + strings.Repeat("x", 256) + `", "event": "Seen"}`, "userId"},
		"a visitor that is too long":  {Track, `{"userId": "u", "anonymousId": "` + strings.Repeat("x", 256) + `", "event": "Seen"}`, "anonymousId"},
		"no event":                    {Track, `{"userId": "anna"}`, "event"},
		"an event that is too long":   {Track, `{"userId": "anna", "event": "` + strings.Repeat("x", 256) + `"}`, "event"},
		"an id that is too long":      {Track, `{"userId": "anna", "event": "Seen", "messageId": "` + strings.Repeat("x", 256) + `"}`, "messageId"},
		"a time that is none":         {Track, `{"userId": "anna", "event": "Seen", "timestamp": "yesterday"}`, "timestamp"},
		"a time long past":            {Track, `{"userId": "anna", "event": "Seen", "timestamp": "1066-10-14T00:00:00Z"}`, "timestamp"},
		"a sending time that is none": {Track, `{"userId": "anna", "event": "Seen", "sentAt": "soon"}`, "sentAt"},
		"properties that are none":    {Track, `{"userId": "anna", "event": "Seen", "properties": []}`, "properties"},
		"a NUL":                       {Track, `{"userId": "anna", "event": "Seen", "properties": {"a": "\u0000"}}`, "properties"},
		"a page's":                    {Page, `{"userId": "anna", "name": "x", "properties": 7}`, "properties"},
		"a group without an id":       {Group, `{"userId": "anna"}`, "groupId"},
		"a group's traits":            {Group, `{"userId": "anna", "groupId": "g", "traits": 7}`, "traits"},
		"an alias of nobody":          {AliasOf, `{"userId": "anna"}`, "previousId"},
		"an alias of oneself":         {AliasOf, `{"userId": "anna", "previousId": "anna"}`, "previousId"},
		"an alias for a visitor":      {AliasOf, `{"anonymousId": "b", "previousId": "anna"}`, "userId"},
		"traits that are none":        {Identify, `{"userId": "anna", "traits": "x"}`, "traits"},
		"a phone without a country":   {Identify, `{"userId": "anna", "traits": {"phone": "090-1234-5678"}}`, "traits.phone"},
		"a consent that is none":      {Identify, `{"userId": "anna", "traits": {"consent_sms": "maybe"}}`, "traits.consent_sms"},
		"an order without an id":      {Track, `{"userId": "anna", "event": "Order Completed", "properties": {"total": 1}}`, "properties.order_id"},
		"an order without a total":    {Track, `{"userId": "anna", "event": "Order Completed", "properties": {"order_id": "o"}}`, "properties.total"},
		"a total that is none":        {Track, `{"userId": "anna", "event": "Order Completed", "properties": {"order_id": "o", "total": "much"}}`, "properties.total"},
		"products that are none":      {Track, `{"userId": "anna", "event": "Order Completed", "properties": {"order_id": "o", "total": 1, "products": 7}}`, "properties.products"},
		"a quantity that is none":     {Track, `{"userId": "anna", "event": "Order Completed", "properties": {"order_id": "o", "total": 1, "products": [{"quantity": -1}]}}`, "properties.products"},
	} {
		got, refused := facts(t, tt.kind, tt.body)
		if len(refused) != 1 || refused[0].Field != tt.field || refused[0].Reason == "" || got.Size() > 0 || len(got.Orders) > 0 {
			t.Errorf("%s: refused %v, taken %s, want the field %s", name, refused, show(got), tt.field)
		}
	}
}

// FuzzRequest: whatever comes in, each call is taken or refused, and what is taken can be stored.
func FuzzRequest(f *testing.F) {
	for _, body := range []string{
		`{"batch": [{"type": "track", "userId": "anna", "event": "Order Completed", "properties": {"order_id": "o", "total": 1.5, "products": [{"price": "2"}]}}], "sentAt": "2026-01-01T00:00:00Z"}`,
		`{"userId": 1e5, "traits": {"email": "a@b.c", "consent_email": true, "attributes": {"a": null}}}`,
		`{"userId": "a", "anonymousId": "b", "previousId": "c", "groupId": "g", "name": "n", "event": "e", "timestamp": "2026-01-01"}`,
		`{"batch": [null, 7, {"type": "page"}, {"type": "alias", "userId": "a", "previousId": "\ud800"}]}`,
	} {
		for kind := range 7 {
			f.Add(kind, []byte(body))
		}
	}
	names := append([]string{Batch}, kinds...)
	f.Fuzz(func(t *testing.T, kind int, body []byte) {
		r, err := ReadBody(names[max(kind, -kind, 0)%len(names)], body)
		if err != nil {
			var field *store.FieldError
			if !errors.As(err, &field) {
				t.Errorf("%v", err)
			}
			return
		}
		got, refused := r.Facts(now)
		if len(refused) > r.Calls() {
			t.Errorf("%d of %d calls refused", len(refused), r.Calls())
		}
		for i := range got.Events {
			e := got.Events[i]
			if err := e.Validate(); err != nil || e.OccurredAt.After(now) {
				t.Errorf("an event cannot be stored: %v at %s", err, e.OccurredAt)
			}
		}
		for i := range got.Customers {
			if err := got.Customers[i].Validate(); err != nil {
				t.Errorf("a customer cannot be stored: %v", err)
			}
		}
		for _, o := range got.Orders {
			if err := o.Validate(); err != nil {
				t.Errorf("an order cannot be stored: %v", err)
			}
		}
		for _, a := range got.Aliases {
			if store.CheckID(a.From) != nil || store.CheckID(a.To) != nil || a.From == a.To {
				t.Errorf("%+v is no alias", a)
			}
		}
	})
}

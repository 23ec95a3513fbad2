// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package twilio

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

const (
	apiVersion      = "2010-04-01"
	defaultPageSize = 50
	maxPageSize     = 1000
)

var errorTexts = map[int]string{
	30003: "Unreachable destination handset",
	30004: "Message blocked",
	30005: "Unknown destination handset",
	30006: "Landline or unreachable carrier",
	30007: "Carrier violation",
	30008: "Unknown error",
}

func (s *Server) account(w http.ResponseWriter, r *http.Request, a *account) {
	if !strings.HasSuffix(r.PathValue("account"), ".json") {
		notFound(w, r)
		return
	}
	name := a.FriendlyName
	if name == "" {
		name = "Sandbox account"
	}
	uri := "/" + apiVersion + "/Accounts/" + a.SID
	const made = "Mon, 01 Jan 2024 00:00:00 +0000"
	answer(w, http.StatusOK, map[string]any{
		"sid": a.SID, "owner_account_sid": a.SID, "friendly_name": name, "status": "active", "type": "Full",
		"date_created": made, "date_updated": made, "uri": uri + ".json",
		"subresource_uris": map[string]string{"messages": uri + "/Messages.json"},
	})
}

func (s *Server) fetch(w http.ResponseWriter, r *http.Request, a *account) {
	sid, ok := strings.CutSuffix(r.PathValue("sid"), ".json")
	s.mu.Lock()
	seq, known := s.bySID[sid]
	s.mu.Unlock()
	m, held := s.log.Get(seq)
	if !ok || !known || !held || m.Account != a.SID {
		notFound(w, r)
		return
	}
	answer(w, http.StatusOK, resource(m))
}

// list answers newest first. A message that has not been sent yet has no
// DateSent, so a filter on it does not find it, as at Twilio.
func (s *Server) list(w http.ResponseWriter, r *http.Request, a *account) {
	q := r.URL.Query()
	size := min(number(q.Get("PageSize"), defaultPageSize), maxPageSize)
	page := number(q.Get("Page"), 0)
	dates, ok := dateFilter(q)
	if !ok {
		fail(w, http.StatusBadRequest, 20001, "DateSent is written YYYY-MM-DD or as an RFC 3339 time")
		return
	}
	if size == 0 {
		size = defaultPageSize
	}
	skip := page * size
	found := s.log.Before(0, skip+size+1, func(m *record.Message) bool {
		return m.SMS != nil && m.Account == a.SID && record.Match(m, "", q.Get("To")) &&
			(q.Get("From") == "" || m.From == q.Get("From")) && dates(m.SMS.SentAt)
	})
	found = found[min(skip, len(found)):]
	more := len(found) > size
	messages := []map[string]any{}
	for _, m := range found[:min(size, len(found))] {
		messages = append(messages, resource(*m))
	}
	at := func(page int) string {
		q.Set("Page", strconv.Itoa(page))
		q.Set("PageSize", strconv.Itoa(size))
		return r.URL.Path + "?" + q.Encode()
	}
	var next, previous any
	if more {
		next = at(page + 1)
	}
	if page > 0 {
		previous = at(page - 1)
	}
	answer(w, http.StatusOK, map[string]any{
		"messages": messages, "page": page, "page_size": size, "start": skip, "end": skip + max(len(messages)-1, 0),
		"uri": at(page), "first_page_uri": at(0), "next_page_uri": next, "previous_page_uri": previous,
	})
}

func number(s string, otherwise int) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1_000_000 {
		return otherwise
	}
	return n
}

// dateFilter reads DateSent, DateSent< and DateSent>, which include their bound.
func dateFilter(q url.Values) (func(*time.Time) bool, bool) {
	var tests []func(time.Time) bool
	for _, name := range []string{"DateSent", "DateSent<", "DateSent>"} {
		v := q.Get(name)
		if v == "" {
			continue
		}
		from, err := time.Parse(time.RFC3339, v)
		to := from
		if err != nil {
			if from, err = time.Parse(time.DateOnly, v); err != nil {
				return nil, false
			}
			to = from.AddDate(0, 0, 1).Add(-time.Second)
		}
		switch name {
		case "DateSent":
			// A time stands for its day.
			day := from.UTC().Truncate(24 * time.Hour)
			tests = append(tests, func(t time.Time) bool { return t.UTC().Truncate(24 * time.Hour).Equal(day) })
		case "DateSent<":
			tests = append(tests, func(t time.Time) bool { return !t.After(to) })
		case "DateSent>":
			tests = append(tests, func(t time.Time) bool { return !t.Before(from) })
		}
	}
	return func(sent *time.Time) bool {
		for _, test := range tests {
			// Twilio's dates have whole seconds.
			if sent == nil || !test(sent.Truncate(time.Second)) {
				return false
			}
		}
		return true
	}, true
}

func resource(m record.Message) map[string]any {
	uri := "/" + apiVersion + "/Accounts/" + m.Account + "/Messages/" + m.Key
	created := m.ReceivedAt.Format(time.RFC1123Z)
	out := map[string]any{
		"sid": m.Key, "account_sid": m.Account, "api_version": apiVersion, "body": m.Text,
		"from": m.From, "to": m.To, "status": m.Status, "direction": "outbound-api",
		"num_segments": strconv.Itoa(m.SMS.Segments), "num_media": "0",
		"messaging_service_sid": nil, "error_code": nil, "error_message": nil,
		"price": nil, "price_unit": "USD", "date_created": created, "date_updated": created, "date_sent": nil,
		"uri": uri + ".json", "subresource_uris": map[string]string{"media": uri + "/Media.json"},
	}
	if m.SMS.MessagingServiceSID != "" {
		out["messaging_service_sid"] = m.SMS.MessagingServiceSID
		if m.Status == record.Accepted {
			// The service has not chosen a sender and an encoding yet.
			out["num_segments"] = "0"
		}
	}
	if m.From == "" {
		out["from"] = nil
	}
	if m.SMS.SentAt != nil {
		out["date_sent"] = m.SMS.SentAt.Format(time.RFC1123Z)
		out["date_updated"] = out["date_sent"]
	}
	if m.ErrorCode != 0 {
		out["error_code"], out["error_message"] = m.ErrorCode, errorTexts[m.ErrorCode]
	}
	return out
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package bounce

import (
	"regexp"
	"strings"
)

// maxRecipients is how many a report may tell of. We send to one at a time.
const maxRecipients = 10

var embeddedStatus = regexp.MustCompile(`(?im)^[ \t>]*(?:Final-Recipient|Original-Recipient)[ \t]*:[ \t]*(?:rfc822|utf-?8|x400|unknown|dns)?[ \t]*;?`)

// readStatus reads the part that RFC 3464 defines, wherever it stands.
func readStatus(r *Report) bool {
	blocks := r.mail.status
	if len(blocks) == 0 || !embeddedStatus.MatchString(strings.Join(blocks, "\n")) {
		if at := embeddedStatus.FindStringIndex(r.mail.text); at != nil {
			blocks = append(blocks, blockAround(r.mail.text, at[0]))
		}
	}
	sections := recipientSections(r.mail.text)
	for _, text := range blocks {
		for _, fields := range statusGroups(text) {
			if r.ReportingMTA == "" {
				r.ReportingMTA = shorten(afterType(fields.get("Reporting-MTA")))
			}
			if to, ok := statusRecipient(r, fields, sections); ok && len(r.Recipients) < maxRecipients {
				r.Recipients = append(r.Recipients, to)
			}
		}
	}
	if len(r.Recipients) == 0 {
		return false
	}
	r.conclude()
	return true
}

// blockAround is the paragraphs from the one before a line on: where Reporting-MTA is.
func blockAround(text string, at int) string {
	start := at
	for range 2 {
		if i := strings.LastIndex(strings.TrimRight(text[:start], "\n "), "\n\n"); i >= 0 {
			start = i + 1
		}
	}
	return text[start:]
}

// statusGroups are the groups of fields between empty lines; those of one recipient are joined where
// a server tears them apart.
func statusGroups(text string) (groups []header) {
	rest := []byte(text)
	for len(rest) > 0 && len(groups) < 2*maxRecipients {
		var h header
		h, rest = readHeader(rest)
		for i := range h {
			h[i].name = strings.TrimLeft(h[i].name, ">")
		}
		if len(h) == 0 {
			continue
		}
		named := h.has("Final-Recipient") || h.has("Original-Recipient")
		if n := len(groups); n > 0 && !named && h.has("Status") && !groups[n-1].has("Status") {
			groups[n-1] = append(groups[n-1], h...)
			continue
		}
		groups = append(groups, h)
	}
	// A group that has a status and no recipient goes with one that has a recipient and no status.
	return groups
}

// afterType is the value of a field such as "rfc822; somebody@shop.example".
func afterType(value string) string {
	if kind, rest, ok := strings.Cut(value, ";"); ok && len(kind) < 24 && !strings.ContainsAny(strings.TrimSpace(kind), " @") {
		value = rest
	}
	return strings.TrimSpace(value)
}

func statusRecipient(r *Report, f header, sections map[string]string) (Recipient, bool) {
	to := Recipient{Address: findAddress(afterType(f.get("Final-Recipient"))), Original: findAddress(afterType(f.get("Original-Recipient")))}
	if to.Address == "" {
		to.Address, to.Original = to.Original, ""
	}
	action, status := strings.ToLower(f.get("Action")), f.get("Status")
	if action == "" && status == "" && f.get("Diagnostic-Code") == "" && !f.has("Final-Recipient") {
		return to, false
	}
	if to.Address == "" {
		to.Address = findAddress(r.mail.header.get("X-Failed-Recipients"))
	}
	if to.Original == to.Address {
		to.Original = ""
	}
	to.Status = findStatus(status)
	diagnostic := afterType(f.get("Diagnostic-Code"))
	if comment := between(status, '(', ')'); comment != "" && diagnostic == "" {
		diagnostic = comment
	}
	around := r.mail.text
	if section := sections[strings.ToLower(to.Address)]; section != "" {
		around = section
	}
	if strings.TrimSpace(around) == "" {
		around = r.mail.page
	}
	around = around[:min(len(around), maxAround)]
	if r.near == nil || r.nearOf != around {
		heard := hear(around)
		r.near, r.nearOf, r.nearDelay = &heard, around, delayWords.MatchString(around)
	}
	to.Kind = actionKind(action, to.Status, r.nearDelay || delayWords.MatchString(diagnostic[:min(len(diagnostic), maxWords)]))
	if to.Kind == Failed {
		to.Class = classifyNear(diagnostic, to.Status, *r.near)
	}
	if own := findStatus(diagnostic); own != "" && (to.Status == "" || strings.HasSuffix(to.Status, ".0.0")) {
		to.Status = own
	}
	if diagnostic == "" {
		diagnostic = sentence(around)
	}
	to.Diagnostic = shorten(diagnostic)
	return to, true
}

// actionKind reads Action, and where it is missing or says what no server should, the status.
func actionKind(action, status string, late bool) Kind {
	action, _, _ = strings.Cut(strings.TrimSpace(action), " ")
	switch strings.Trim(action, "();,.") {
	case "failed", "failure", "fail", "error", "bounced":
		return Failed
	case "delayed", "delay", "deferred":
		return Delayed
	case "delivered", "relayed", "expanded", "delivery", "success":
		if strings.HasPrefix(status, "5") {
			return Failed
		}
		return Delivered
	}
	if strings.HasPrefix(status, "2") {
		return Delivered
	}
	if strings.HasPrefix(status, "4") && late {
		return Delayed
	}
	return Failed
}

func between(s string, open, closing byte) string {
	i, j := strings.IndexByte(s, open), strings.LastIndexByte(s, closing)
	if i < 0 || j <= i {
		return ""
	}
	return s[i+1 : j]
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package bounce

import "strings"

// readNotification reads Amazon's notifications, which an SNS topic with a mail subscription sends as
// JSON in a mail.
func readNotification(r *Report) bool {
	text := strings.TrimSpace(strings.ReplaceAll(r.mail.text, "!\n ", "")) // what servers do to lines that are too long
	if !strings.HasPrefix(text, "{") {
		return false
	}
	if i := strings.LastIndex(text, "}"); i > 0 {
		text = text[:i+1]
	}
	n, err := ParseSES([]byte(text))
	if err != nil {
		return false
	}
	r.Kind, r.Class, r.Feedback, r.Recipients, r.MessageID = n.Kind, n.Class, n.Feedback, n.Recipients, n.MessageID
	return r.Kind != None
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"errors"

	"github.com/kaeru-dev/kaeru/internal/content"
)

// maxDetail bounds what is stored beside a reason, in characters.
const maxDetail = 200

// whyUnmade says why a message cannot be made for its customer. It names values, fields and lines of
// the template, and holds nothing of the customer.
func whyUnmade(err error) end {
	var missing *content.MissingValueError
	var wrong *content.Error
	switch {
	case errors.As(err, &missing):
		return end{reason: ReasonMissingValue, detail: missing.Path}
	case errors.As(err, &wrong):
		return end{reason: ReasonRenderFailed, detail: wrong.Error()}
	}
	return end{reason: ReasonRenderFailed} // any other error could quote a value
}

// why is the reason as it is stored: MissingValue: customer.first_name.
func (e *end) why() string {
	if e.detail == "" {
		return e.reason
	}
	detail := []rune(e.detail)
	if len(detail) > maxDetail {
		detail = append(detail[:maxDetail], '…')
	}
	return e.reason + ": " + string(detail)
}

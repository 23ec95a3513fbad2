// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package tracking

import (
	"encoding/json"
	"errors"

	"github.com/kaeru-dev/kaeru/internal/ingest"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// renamed are traits that the protocol's users write otherwise than the columns of an import.
var renamed = map[string]string{
	"lineUserId": "line_user_id", "consentEmail": "consent_email", "consentLine": "consent_line", "consentSms": "consent_sms",
}

// customer is what traits say, as the columns of an import would. The trait id is the protocol's word for
// userId, which the call has.
func customer(id string, traits map[string]json.RawMessage) (store.Customer, error) {
	row := make(map[string]json.RawMessage, len(traits)+1)
	for name, document := range traits {
		if column, known := renamed[name]; known {
			name = column
		}
		row[name] = document
	}
	row["id"] = quoted(id)
	c, err := ingest.Customer(row)
	var field *store.FieldError
	if errors.As(err, &field) {
		if field.Field == "id" {
			return c, &store.FieldError{Field: "userId", Reason: field.Reason}
		}
		return c, &store.FieldError{Field: "traits." + field.Field, Reason: field.Reason}
	}
	return c, err
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"encoding/json"
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// Customer reads one customer as a row of JSON lines says it. Its errors are *store.FieldError.
func Customer(row map[string]json.RawMessage) (c store.Customer, err error) {
	err = customers.fromJSON(&c, row, &Options{Location: time.UTC})
	return c, err
}

// Product reads one product as a row of JSON lines says it. Its errors are *store.FieldError.
func Product(row map[string]json.RawMessage) (p store.Product, err error) {
	err = products.fromJSON(&p, row, &Options{Location: time.UTC})
	return p, err
}

// Items reads the lines of an order. A member that an item has not is left out.
func Items(rows []map[string]json.RawMessage) ([]store.Item, error) {
	known := make([]map[string]json.RawMessage, len(rows))
	for i, row := range rows {
		known[i] = map[string]json.RawMessage{}
		for name, document := range row {
			if _, ok := itemColumns[name]; ok {
				known[i][name] = document
			}
		}
	}
	return itemsOf(known)
}

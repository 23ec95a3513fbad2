// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package gateway

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/kaeru-dev/kaeru/internal/ingest"
	"github.com/kaeru-dev/kaeru/internal/store"
	"github.com/kaeru-dev/kaeru/internal/tracking"
)

// products takes what a shop says of its products: one, an array of them, or an object with that array as
// products. The rows are those of an import.
func (g *Gateway) products(w http.ResponseWriter, r *http.Request) {
	ns, ok := g.authenticate(w, r)
	if !ok {
		return
	}
	release, ok := g.tracks.enter(ns)
	if !ok {
		busy(w)
		return
	}
	defer release()
	body, ok := readBody(w, r, tracking.MaxBody)
	if !ok {
		return
	}
	rows, err := productRows(body)
	if err != nil {
		refuse(w, 0, []tracking.Refusal{refusalOf(err)})
		return
	}
	facts := &tracking.Facts{}
	var refused []tracking.Refusal
	for i, row := range rows {
		p, err := product(row)
		if err != nil {
			refusal := refusalOf(err)
			refusal.Item = i
			refused = append(refused, refusal)
			continue
		}
		facts.Products = append(facts.Products, p)
	}
	g.take(w, r, ns, facts, len(rows), refused)
}

func productRows(body []byte) ([]json.RawMessage, error) {
	var rows []json.RawMessage
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")) {
		if err := json.Unmarshal(body, &rows); err != nil {
			return nil, &store.FieldError{Field: "body", Reason: "is not JSON: " + err.Error()}
		}
		return rows, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil || members == nil {
		return nil, &store.FieldError{Field: "body", Reason: `is no JSON object or array: write it like {"products": [{"id": "p1", "stock": 3}]}`}
	}
	list, many := members["products"]
	if !many {
		return []json.RawMessage{body}, nil
	}
	if err := json.Unmarshal(list, &rows); err != nil {
		return nil, &store.FieldError{Field: "products", Reason: `is not an array: write it like {"products": [{"id": "p1", "stock": 3}]}`}
	}
	return rows, nil
}

func product(document json.RawMessage) (store.Product, error) {
	var row map[string]json.RawMessage
	if err := json.Unmarshal(document, &row); err != nil || row == nil {
		return store.Product{}, &store.FieldError{Field: "", Reason: "is not a JSON object"}
	}
	return ingest.Product(row)
}

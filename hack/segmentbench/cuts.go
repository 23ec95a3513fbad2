// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/store"
)

// thresholds asks for the values that a compiled statement with percentages or quintiles takes. Refreshes
// keep them from one to the next; a full evaluation pays for them here, as a statement by hand does.
func thresholds(ctx context.Context, q store.Querier, cuts []audience.Cut) (audience.Thresholds, error) {
	out := audience.Thresholds{}
	for _, cut := range cuts {
		column := map[string]string{"average": "(spend / orders)", "last": "last_order_at"}[cut.Measure]
		if column == "" {
			column = cut.Measure
		}
		order := "DESC"
		if cut.Low {
			order = "ASC"
		}
		var value sql.NullInt64
		err := q.QueryRow(ctx, fmt.Sprintf(`SELECT %[1]s FROM metrics WHERE ns = '%[2]s' AND orders > 0 ORDER BY %[1]s %[3]s
			LIMIT 1 OFFSET (SELECT (%[4]d * count(*) - 1) / 1000000 FROM metrics WHERE ns = '%[2]s' AND orders > 0)`,
			column, namespace, order, cut.Share)).Scan(&value)
		if err != nil && !store.IsNotFound(err) {
			return nil, fmt.Errorf("ask for the threshold of %s: %w", cut.Measure, err)
		}
		out[cut] = value
	}
	return out, nil
}

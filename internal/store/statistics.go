// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

const (
	// statisticsEvery is how often tables are looked at, on machine time.
	statisticsEvery = 5 * time.Second
	// fewRows are planned for well enough without statistics.
	fewRows = 1000
)

// KeepStatistics has PostgreSQL look anew at tables that have doubled since it last did, until ctx ends. Its own
// autovacuum does so once a minute: until then a table that fills fast is planned for as if it were empty, and a
// lookup of a hundred customers reads all that there are. Errors are not told: it is tried again.
func (s *Store) KeepStatistics(ctx context.Context) {
	if s.dialect != Postgres {
		return
	}
	ticker := time.NewTicker(statisticsEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			_ = s.refreshStatistics(ctx)
		}
	}
}

func (s *Store) refreshStatistics(ctx context.Context) error {
	var tables []string
	err := Each(ctx, s, func(rows *sql.Rows) error {
		var table string
		err := rows.Scan(&table)
		tables = append(tables, table)
		return err
	}, `SELECT quote_ident(relname) FROM pg_stat_user_tables
WHERE schemaname = current_schema() AND n_mod_since_analyze > $1 AND n_mod_since_analyze > n_live_tup / 2`, fewRows)
	if err != nil {
		return fmt.Errorf("finding tables that have grown: %w", err)
	}
	for _, table := range tables {
		if _, err := s.Exec(ctx, `ANALYZE `+table); err != nil {
			return fmt.Errorf("looking at table %s: %w", table, err)
		}
	}
	return nil
}

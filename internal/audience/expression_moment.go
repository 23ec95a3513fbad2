// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"fmt"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// attributeMoment is the moment of a text in milliseconds, and NULL where the text is no date. What is
// written without an offset is a time in the shop's zone; a day alone is its midnight.
func (s *statement) attributeMoment(value string) string {
	zone := s.text(s.env.Shop.zone().String())
	if s.env.Dialect == store.SQLite {
		return "kaeru_moment(" + value + ", " + zone + ")"
	}
	return fmt.Sprintf("CAST(FLOOR(EXTRACT(EPOCH FROM CASE WHEN %[1]s ~ '^%[2]s(%[3]s)?$' THEN CAST(%[1]s AS TIMESTAMP) AT TIME ZONE CAST(%[5]s AS TEXT)"+
		" WHEN %[1]s ~ '^%[2]s%[3]s%[4]s$' THEN CAST(%[1]s AS TIMESTAMPTZ) END) * 1000) AS BIGINT)",
		value, dayPattern, timePattern, offsetPattern, zone)
}

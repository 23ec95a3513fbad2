// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"strconv"
	"strings"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// valuesOf writes rows as the body of a VALUES, and their values as arguments after those that are
// there already. types are PostgreSQL's, which wants them said once; SQLite has no use for them.
func valuesOf(d store.Dialect, args []any, types []string, rows [][]any) (string, []any) {
	var b strings.Builder
	for i, row := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('(')
		for k, v := range row {
			if k > 0 {
				b.WriteByte(',')
			}
			args = append(args, v)
			if i == 0 && d == store.Postgres {
				b.WriteString("CAST($" + strconv.Itoa(len(args)) + " AS " + types[k] + ")")
			} else {
				b.WriteString("$" + strconv.Itoa(len(args)))
			}
		}
		b.WriteByte(')')
	}
	return b.String(), args
}

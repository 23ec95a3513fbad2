// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package inbox is the page that shows each arrived message as its recipient
// would see it.
package inbox

import (
	"fmt"
	"net/http"

	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

// Routes adds the page to a mux.
func Routes(mux *http.ServeMux, log *record.Log) {
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		for channel, stats := range log.Stats() {
			_, _ = fmt.Fprintln(w, channel, stats.Messages)
		}
	})
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ingest loads files of customers, orders, products, events, subscriptions, coupons and aliases into
// the store: CSV or JSON lines, of any length in constant memory, and as often as one likes.
package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// Kinds are the kinds of files.
var Kinds = []string{"customers", "orders", "products", "events", "subscriptions", "coupons", "aliases", "suppressions"}

// Options of an import. The zero value is fine.
type Options struct {
	// Clock tells when the rows arrive, in business time. Default: the real time.
	Clock clock.PassiveClock
	// Location is where times without a zone are meant. Default: UTC.
	Location *time.Location
	// CallingCode of the country, such as 81, is put in place of the 0 that a phone number begins
	// with. Without it such a number is refused.
	CallingCode string
	// RefusedFile is where the refused rows go: CSV with the columns line, column, reason and row. It
	// exists afterwards only when there are any. Default of File: the path with .refused.csv; of Run: none.
	RefusedFile string
	// Progress is called after each batch, from one goroutine.
	Progress func(Progress)
	// BatchRows is how many rows are committed together. Default: 5,000.
	BatchRows int
}

// Progress is how far an import has come.
type Progress struct {
	Bytes, Total int64 // of the file as it lies there; Total is 0 where it is not known
	Rows         int64
	Refused      int64
}

// Refusal is a row that was not loaded. The header of a CSV file is line 1.
type Refusal struct {
	Line   int
	Column string // empty when it is about the whole row
	Reason string
}

func (r Refusal) String() string {
	if r.Column == "" {
		return fmt.Sprintf("line %d: %s", r.Line, r.Reason)
	}
	return fmt.Sprintf("line %d, column %s: %s", r.Line, r.Column, r.Reason)
}

// Result is what became of a file. Counts.Total and Refused add up to Rows.
type Result struct {
	store.Counts
	Rows    int64
	Refused int64
	// First are the first refusals, at most twenty; all of them are in RefusedFile.
	First       []Refusal
	RefusedFile string // empty when nothing was refused
}

const (
	firstRefusals    = 20
	defaultBatchRows = 5000
	aliasBatchRows   = 100
)

// Run loads rows of a kind into a namespace. Rows that cannot be loaded are refused, and the others
// loaded. An error ends it; what the batches before it have loaded stays, and running it again is safe.
func Run(ctx context.Context, s *store.Store, ns, kind string, r io.Reader, format Format, opts Options) (Result, error) {
	if opts.Clock == nil {
		opts.Clock = clock.RealClock{}
	}
	if opts.Location == nil {
		opts.Location = time.UTC
	}
	if opts.BatchRows == 0 {
		opts.BatchRows = defaultBatchRows
	}
	if opts.CallingCode = strings.TrimPrefix(opts.CallingCode, "+"); strings.Trim(opts.CallingCode, "0123456789") != "" || len(opts.CallingCode) > 3 {
		return Result{}, fmt.Errorf("%q is not a country's calling code: write it like 81", opts.CallingCode)
	}
	if ns == "" {
		return Result{}, errors.New("an import needs a namespace")
	}
	in := source{reader: r, format: format}
	switch kind {
	case "customers":
		return load(ctx, s, ns, in, customers, opts)
	case "orders":
		return load(ctx, s, ns, in, orders, opts)
	case "products":
		return load(ctx, s, ns, in, products, opts)
	case "events":
		return load(ctx, s, ns, in, events, opts)
	case "subscriptions":
		return load(ctx, s, ns, in, subscriptions, opts)
	case "coupons":
		return load(ctx, s, ns, in, coupons, opts)
	case "aliases":
		// A merge moves whatever the customer has: a few of them are enough for a transaction.
		opts.BatchRows = min(opts.BatchRows, aliasBatchRows)
		return load(ctx, s, ns, in, aliases, opts)
	case "suppressions":
		return load(ctx, s, ns, in, suppressions, opts)
	}
	return Result{}, CheckKind(kind)
}

// CheckKind tells what is wrong with the name of a kind.
func CheckKind(kind string) error {
	if slices.Contains(Kinds, kind) {
		return nil
	}
	return fmt.Errorf("%q cannot be imported: it is one of %s", kind, strings.Join(Kinds, ", "))
}

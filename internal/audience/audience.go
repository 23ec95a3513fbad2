// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

// Package audience finds out who belongs to a segment, and keeps its membership.
//
// Compile makes one SQL statement of a match. All that differs from one evaluation to the next, the
// time above all, is a parameter of it. A Refresher evaluates the statement and brings the
// membership up to date, set by set within the database: no list of customers passes through Go.
//
// What each condition means at its edges is written in docs/segments.md.
package audience

import (
	"time"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// Shop is what a shop says for all of its segments.
type Shop struct {
	// Zone is where a day begins and ends. UTC where it is nil. It must be an IANA zone, as the
	// database is asked by its name.
	Zone *time.Location
	// DormantAfter is the time without an order after which a customer is dormant. 150 days where it
	// is zero.
	DormantAfter time.Duration
}

func (s Shop) zone() *time.Location {
	if s.Zone == nil {
		return time.UTC
	}
	return s.Zone
}

// Env is what a match is compiled for.
type Env struct {
	Namespace string
	Segment   string
	Shop      Shop
	Dialect   store.Dialect
}

// Unsupported is the error of a condition that Compile does not know yet.
type Unsupported struct {
	// Path is the field, such as spec.match.all[0].rfm.
	Path string
}

func (e *Unsupported) Error() string { return e.Path + " is not supported yet: remove it" }

// Invalid is the error of a match that the API server would have refused.
type Invalid struct {
	// Path is the field, such as spec.match.all[0].orders.within.
	Path string
	// Reason says what is wrong with it, and what to write instead.
	Reason string
}

func (e *Invalid) Error() string { return e.Path + ": " + e.Reason }

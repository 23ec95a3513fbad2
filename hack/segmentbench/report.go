// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"
	"time"
)

// storeReport is what was measured in one store. Times are in milliseconds.
type storeReport struct {
	Store     string   `json:"store"`
	Customers int      `json:"customers"`
	Orders    int      `json:"orders"`
	Events    int      `json:"events"`
	Settings  []string `json:"settings,omitempty"`
	// LeftOut are the segments whose conditions are not supported yet.
	LeftOut []string     `json:"leftOut,omitempty"`
	Full    []comparison `json:"full"`
	Round   roundReport  `json:"round"`
	// Disagreements are wrong results. There should be none.
	Disagreements []string `json:"disagreements,omitempty"`
}

// comparison is a segment, evaluated fully and by hand.
type comparison struct {
	Name        string    `json:"name"`
	Kind        string    `json:"kind"`
	Supported   bool      `json:"supported"`
	Members     int64     `json:"members"`
	Compiled    float64   `json:"compiled,omitempty"`
	HandTook    float64   `json:"byHand"`
	Refresh     float64   `json:"refresh,omitempty"`
	HandRefresh float64   `json:"refreshByHand,omitempty"`
	Hand        statement `json:"hand"`
}

func (c *comparison) ratio() float64        { return c.Compiled / c.HandTook }
func (c *comparison) refreshRatio() float64 { return c.Refresh / c.HandRefresh }

// roundReport is a churn, and the round after it.
type roundReport struct {
	Segments []*segmentLine `json:"segments"`
	// First is how long it took to refresh all segments for the first time.
	First float64 `json:"first"`
	// Orders and Events are how many came in.
	Orders int `json:"orders"`
	Events int `json:"events"`
	// Ingest is how long that took the first time, with all that is kept up to date with it. The same was
	// measured before and undone, in turns with the bare writes; Upkeep is the difference.
	Ingest       float64 `json:"ingest"`
	IngestUndone float64 `json:"ingestUndone"`
	BareUndone   float64 `json:"bareUndone"`
	Upkeep       float64 `json:"upkeep"`
	// Round is the middle one of Rounds.
	Round  float64   `json:"round"`
	Rounds []float64 `json:"rounds"`
	// Base and Metrics are the sums of the statements by hand: of the segments in the round, and of all.
	Base       float64 `json:"base"`
	Metrics    float64 `json:"metrics"`
	AllBase    float64 `json:"allBase"`
	AllMetrics float64 `json:"allMetrics"`
	Memory     memory  `json:"memory"`
}

// memory is the most that the process had resident, in MB: in the round, and in all the rest.
type memory struct {
	Load  float64 `json:"load"`
	Full  float64 `json:"full"`
	First float64 `json:"first"`
	Hand  float64 `json:"hand"`
	Round float64 `json:"round"`
}

func (m memory) peak() float64 { return max(m.Load, m.Full, m.First, m.Round, m.Hand) }

// segmentLine is a segment of the round, and its statements by hand.
type segmentLine struct {
	Name      string   `json:"name"`
	Supported bool     `json:"supported"`
	Members   int64    `json:"members"`
	After     int64    `json:"membersAfter"`
	Base      handLine `json:"base"`
	Metrics   handLine `json:"metrics"`
	// What the round did about it; nothing where there was nothing to do.
	Mode       string  `json:"mode,omitempty"`
	Candidates int64   `json:"candidates,omitempty"`
	Refresh    float64 `json:"refresh,omitempty"`
}

type handLine struct {
	best     best
	Members  int64   `json:"members"`
	Took     float64 `json:"took"`
	Settings string  `json:"settings,omitempty"`
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (s *storeReport) disagree(format string, args ...any) {
	s.Disagreements = append(s.Disagreements, fmt.Sprintf(format, args...))
}

// memory notes the peak since it was last noted.
func (s *storeReport) memory(to *float64) {
	*to = peakMemory()
	forgetPeakMemory()
}

// line is that of a segment, a new one where there is none.
func (r *roundReport) line(q *question) *segmentLine {
	for _, line := range r.Segments {
		if line.Name == q.name {
			return line
		}
	}
	line := &segmentLine{Name: q.name}
	r.Segments = append(r.Segments, line)
	return line
}

func (r *roundReport) sum() {
	for _, line := range r.Segments {
		r.AllBase += line.Base.Took
		r.AllMetrics += line.Metrics.Took
		if line.Supported {
			r.Base += line.Base.Took
			r.Metrics += line.Metrics.Took
		}
	}
}

// summary is the largest of some ratios, and their geometric mean.
type summary struct {
	Largest float64 `json:"largest"`
	Mean    float64 `json:"mean"`
	N       int     `json:"n"`
}

func summarize(ratios []float64) summary {
	s := summary{N: len(ratios)}
	sum := 0.0
	for _, r := range ratios {
		s.Largest = max(s.Largest, r)
		sum += math.Log(r)
	}
	if s.N > 0 {
		s.Mean = math.Exp(sum / float64(s.N))
	}
	return s
}

func (s *storeReport) ratios(of func(*comparison) float64) summary {
	var out []float64
	for i := range s.Full {
		if s.Full[i].Supported {
			out = append(out, of(&s.Full[i]))
		}
	}
	return summarize(out)
}

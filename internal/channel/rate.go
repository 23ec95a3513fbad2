// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package channel

import (
	"maps"
	"slices"
	"time"
)

// How the rate of a channel is shared out and adapted.
const (
	// LeaseFor is how long a process has its share of a rate that it does not ask for again. What a dead
	// process held goes back to the others then; nothing of it is made up for.
	LeaseFor = time.Second
	// renewAfter is when a process that sends asks again, and shortly when others have yet to give way to it.
	renewAfter, shortly = 300 * time.Millisecond, 60 * time.Millisecond
	// turnsBelow is the rate of one process below which each message takes its turn by itself: shares of so
	// little would add up to more, since each process sends whole messages.
	turnsBelow = 10.0
	// leastPart is how far refusals bring a rate down, and recovery how long it takes to come back from nothing.
	leastPart, recovery = 1.0 / 32, time.Minute
	// cutEvery keeps the answers to what was under way when the rate was cut from cutting it again.
	cutEvery = 2 * time.Second
	// longestHold is the longest that a provider can have us wait; one that is longer comes of a clock that was set.
	longestHold = time.Hour
	// mostTurns is how many turns can be taken ahead; likewise.
	mostTurns = 1000
)

// Rate is what the processes that send through a channel share: who has how much of its rate, and how far a
// provider's refusals have brought it down. It is kept in one place, and changed by one process at a time; moments
// are of that place's clock, in microseconds, and only differences of them leave it.
type Rate struct {
	// Part is the part of the configured rate that the last cut left, at CutAt; 0 where there was none.
	Part  float64 `json:"part,omitempty"`
	CutAt int64   `json:"cutAt,omitempty"`
	Cuts  int64   `json:"cuts,omitempty"`
	// Hold is when anybody may send again.
	Hold int64 `json:"hold,omitempty"`
	// Turns says that messages take turns, each by itself, and Next is the next turn.
	Turns  bool             `json:"turns,omitempty"`
	Next   int64            `json:"next,omitempty"`
	Shares map[string]Share `json:"shares,omitempty"`
}

// Share is what one process holds of a rate, and what it asked for, until it is over.
type Share struct {
	PerSecond float64 `json:"perSecond"`
	Wants     float64 `json:"wants"`
	Until     int64   `json:"until"`
}

// Grant is what a process may send from the moment on at which it asked.
type Grant struct {
	// Hold is how long nobody may send anything; the rest is empty then.
	Hold time.Duration
	// PerSecond is how fast it may send after After, until For is over. Count is how many, where it is not 0.
	PerSecond  float64
	After, For time.Duration
	Count      int
	// Again is when to ask for more.
	Again time.Duration
	// Whole is the rate of all processes together.
	Whole float64
}

// Lease gives a process its share of the rate. limit is what is configured, and wants what the process can use:
// each gets as much as it wants or as much as anybody else, whichever is less, and no more than the others have
// left of it.
func (r *Rate) Lease(now int64, holder string, limit, wants float64) Grant {
	rate := limit * r.PartNow(now)
	r.heal(now, rate)
	if r.Hold > now {
		delete(r.Shares, holder)
		return Grant{Hold: span(r.Hold - now), Whole: rate}
	}
	if r.Shares == nil {
		r.Shares = map[string]Share{}
	}
	wants = min(wants, rate)
	mine := Share{Wants: wants, Until: now + LeaseFor.Microseconds()}
	claims, held, free := []float64{wants}, now, rate
	for other, s := range r.Shares {
		if other == holder {
			continue
		}
		claims, free = append(claims, s.Wants), free-s.PerSecond
		if s.PerSecond > 0 {
			held = max(held, s.Until)
		}
	}
	// Between once and twice as much it stays as it is: who held a share has to be waited for.
	each := rate / float64(len(claims))
	if r.Turns = each < turnsBelow || r.Turns && each < 2*turnsBelow; r.Turns {
		r.Shares[holder] = mine
		at := max(r.Next, held)
		r.Next = at + int64(1e6/rate)
		return Grant{PerSecond: rate, After: span(at - now), For: span(at-now) + late, Count: 1, Whole: rate}
	}
	fair := evenly(rate, claims)
	mine.PerSecond = max(0, min(wants, fair, free))
	r.Shares[holder] = mine
	g := Grant{PerSecond: mine.PerSecond, After: span(max(r.Next-now, 0)), For: LeaseFor, Again: renewAfter, Whole: rate}
	if mine.PerSecond < min(wants, fair) {
		g.Again = shortly
	}
	return g
}

// Cut halves the rate, and holds all of it for a while: a provider has refused what came too fast. cut is false
// where that was done a moment ago.
func (r *Rate) Cut(now int64, hold time.Duration) (cut bool) {
	r.heal(now, 0)
	hold = min(hold, longestHold)
	if r.Part == 0 || now-r.CutAt >= cutEvery.Microseconds() {
		r.Part, r.CutAt, cut = max(r.PartNow(now)/2, leastPart), now, true
		r.Cuts++
	}
	r.Hold = max(r.Hold, now+hold.Microseconds())
	return cut
}

// PartNow is the part of the configured rate that is in force: it grows evenly from what the last cut left.
func (r *Rate) PartNow(now int64) float64 {
	if r.Part == 0 {
		return 1
	}
	since := max(now-max(r.CutAt, r.Hold), 0)
	return min(1, r.Part+float64(since)/float64(recovery.Microseconds()))
}

// heal forgets what is over, and what a clock that was set back has put too far ahead.
func (r *Rate) heal(now int64, rate float64) {
	maps.DeleteFunc(r.Shares, func(_ string, s Share) bool {
		return s.Until <= now || s.Until > now+LeaseFor.Microseconds()
	})
	r.CutAt = min(r.CutAt, now)
	if r.Hold > now+longestHold.Microseconds() {
		r.Hold = now
	}
	if rate > 0 && float64(r.Next-now) > mostTurns*1e6/rate {
		r.Next = now
	}
}

// evenly is how much each may have at most, so that all claims up to it together are the whole.
func evenly(whole float64, claims []float64) float64 {
	slices.Sort(claims)
	for i, c := range claims {
		each := whole / float64(len(claims)-i)
		if c >= each {
			return each
		}
		whole -= c
	}
	return whole // less is wanted than there is
}

func span(micros int64) time.Duration { return time.Duration(micros) * time.Microsecond }

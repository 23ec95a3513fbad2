// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package dispatch

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/kaeru-dev/kaeru/internal/channel"
	"github.com/kaeru-dev/kaeru/internal/journey"
)

// refusedInARow is how many messages of a step are refused for what they say, with none taken between
// them, before the rest is not tried. One or two may be of customers whose names break a template.
const refusedInARow = 3

// refusals counts them, by step of a revision. It holds as many steps as are broken.
type refusals struct {
	mu     sync.Mutex
	counts map[refusedStep]int
}

type refusedStep struct {
	ref            Ref
	revision, step string
}

// aboutContent says whether a reason is about what a message says, which is the same for all of a step.
func aboutContent(reason string) bool {
	return reason == channel.ReasonContentRefused || reason == channel.ReasonContentTooLarge || reason == ReasonRenderFailed
}

// refuse stops what is left of a step's campaign when its content is refused again and again: until the
// Scenario is another revision, nobody is told what no provider takes.
func (e *Engine) refuse(ctx context.Context, s shard, l *letter, reason, detail string) error {
	if !aboutContent(reason) || l.kind == string(journey.KindWebhook) || !e.refusals.add(l) {
		return nil
	}
	why := fmt.Sprintf("%s%d messages of step %s in a row ended as %s", aborted, refusedInARow, l.step, reason)
	if detail != "" {
		why += " (" + detail + ")"
	}
	why += "; correct what the step says"
	// The stop must not be lost to a shutdown, since each message that is tried after it is one too many.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	var err error
	if s.run != "" {
		err = e.abort(ctx, &openRun{ref: l.ref, run: s.run}, why)
	} else if err = e.abortStream(ctx, l.ref, why); err == nil {
		e.mu.Lock()
		if a := e.armed[l.ref]; a != nil && a.Revision == l.revision {
			a.guard = streamGuard{time.Now(), why}
		}
		e.mu.Unlock()
	}
	e.notify(l.ref)
	return err
}

// add counts a refusal, and says whether it is the one too many.
func (r *refusals) add(l *letter) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil {
		r.counts = map[refusedStep]int{}
	}
	key := refusedStep{l.ref, l.revision, l.step}
	r.counts[key]++
	return r.counts[key] == refusedInARow
}

// taken begins anew to count what is refused of a step.
func (r *refusals) taken(l *letter) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.counts, refusedStep{l.ref, l.revision, l.step})
}

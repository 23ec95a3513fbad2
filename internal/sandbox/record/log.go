// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"fmt"
	"hash/maphash"
	"sort"
	"strings"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// Bounds on what a Log holds in memory where Options does not say.
const (
	DefaultMaxMessages = 200_000
	DefaultMaxBytes    = 1 << 30
)

// Options say how much a Log keeps and where.
type Options struct {
	// Clock gives Message.Time; nil is real time.
	Clock clock.PassiveClock
	// Journal is a file of JSON lines that is read at the start and appended
	// to; empty keeps everything in memory only.
	Journal string
	// MaxMessages and MaxBytes bound memory; the oldest messages go first.
	MaxMessages int
	MaxBytes    int64
}

// Log holds accepted messages in the order of their acceptance.
type Log struct {
	clock       clock.PassiveClock
	maxMessages int
	maxBytes    int64

	mu       sync.RWMutex
	messages []*Message // ascending by Seq, without gaps
	bytes    int64
	next     int64
	keys     map[uint64]int
	contents map[uint64]int
	tally    map[string]*tally
	journal  *journal
	seed     maphash.Seed
}

// Open starts a log, with what its journal already holds.
func Open(o Options) (*Log, error) {
	l := &Log{
		clock: o.Clock, maxMessages: o.MaxMessages, maxBytes: o.MaxBytes,
		next: 1, seed: maphash.MakeSeed(),
	}
	if l.clock == nil {
		l.clock = clock.RealClock{}
	}
	if l.maxMessages <= 0 {
		l.maxMessages = DefaultMaxMessages
	}
	if l.maxBytes <= 0 {
		l.maxBytes = DefaultMaxBytes
	}
	l.reset()
	if o.Journal == "" {
		return l, nil
	}
	j, err := openJournal(o.Journal, l.replay)
	if err != nil {
		return nil, err
	}
	l.journal = j
	return l, nil
}

func (l *Log) reset() {
	l.messages, l.bytes = nil, 0
	l.keys, l.contents = map[uint64]int{}, map[uint64]int{}
	l.tally = map[string]*tally{}
}

// Close closes the journal.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.journal == nil {
		return nil
	}
	err := l.journal.close()
	l.journal = nil
	return err
}

// Now is the sandbox's own time.
func (l *Log) Now() time.Time { return l.clock.Now().UTC() }

// Add records an accepted message, giving it its Seq and times, and returns it
// as recorded. Once Add returns, the message is in the journal.
func (l *Log) Add(m Message) (Message, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m.Seq = l.next
	m.Time, m.ReceivedAt = l.Now(), time.Now().UTC()
	l.count(&m)
	if l.journal != nil {
		if err := l.journal.write(entry{Message: &m}); err != nil {
			return m, fmt.Errorf("writing a message to the journal: %w", err)
		}
	}
	l.keep(&m)
	return m, nil
}

func (l *Log) replay(e entry) {
	switch {
	case e.Message != nil:
		m := *e.Message
		l.next = max(l.next, m.Seq)
		l.count(&m)
		l.keep(&m)
	case e.Status != nil:
		l.apply(*e.Status)
	}
}

func (l *Log) keep(m *Message) {
	l.messages = append(l.messages, m)
	l.bytes += size(m)
	l.next = m.Seq + 1
	for len(l.messages) > l.maxMessages || (l.bytes > l.maxBytes && len(l.messages) > 1) {
		l.bytes -= size(l.messages[0])
		l.messages[0] = nil
		l.messages = l.messages[1:]
	}
}

func size(m *Message) int64 {
	n := 512 + len(m.Raw) + len(m.Text) + len(m.Subject)
	if m.Line != nil {
		n += len(m.Line.Messages)
	}
	return int64(n)
}

// Status is a change in what has become of a message.
type Status struct {
	Seq       int64      `json:"seq"`
	Status    string     `json:"status"`
	ErrorCode int        `json:"errorCode,omitempty"`
	SentAt    *time.Time `json:"sentAt,omitempty"`
}

// SetStatus changes what has become of a message. It reports false for a
// message that has been cleared or evicted.
func (l *Log) SetStatus(s Status) (Message, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.apply(s)
	if m == nil {
		return Message{}, false, nil
	}
	if l.journal != nil {
		if err := l.journal.write(entry{Status: &s}); err != nil {
			return *m, true, fmt.Errorf("writing a status to the journal: %w", err)
		}
	}
	return *m, true, nil
}

// apply replaces the message instead of changing it, since readers hold the old one.
func (l *Log) apply(s Status) *Message {
	i, ok := l.index(s.Seq)
	if !ok {
		return nil
	}
	m := *l.messages[i]
	if t := l.tally[m.Channel]; t != nil {
		t.Statuses[m.Status]--
		if t.Statuses[m.Status] == 0 {
			delete(t.Statuses, m.Status)
		}
		t.Statuses[s.Status]++
	}
	m.Status, m.ErrorCode = s.Status, s.ErrorCode
	if m.SMS != nil && s.SentAt != nil {
		text := *m.SMS
		text.SentAt = s.SentAt
		m.SMS = &text
	}
	l.messages[i] = &m
	return &m
}

func (l *Log) index(seq int64) (int, bool) {
	i := sort.Search(len(l.messages), func(i int) bool { return l.messages[i].Seq >= seq })
	return i, i < len(l.messages) && l.messages[i].Seq == seq
}

// Get returns one message by its Seq.
func (l *Log) Get(seq int64) (Message, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if i, ok := l.index(seq); ok {
		return *l.messages[i], true
	}
	return Message{}, false
}

// Snapshot returns the messages held, oldest first. The slice is the caller's;
// the messages are shared and must not be changed.
func (l *Log) Snapshot() []*Message {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return append([]*Message(nil), l.messages...)
}

// Since returns up to limit messages with a Seq above after, oldest first,
// that keep accepts, and the Seq to go on after.
func (l *Log) Since(after int64, limit int, keep func(*Message) bool) ([]*Message, int64) {
	l.mu.RLock()
	i, _ := l.index(after + 1)
	rest := l.messages[i:len(l.messages):len(l.messages)]
	// The elements may be replaced under us, so they are copied before the lock goes.
	rest = append([]*Message(nil), rest...)
	l.mu.RUnlock()
	var out []*Message
	for _, m := range rest {
		after = m.Seq
		if keep(m) {
			if out = append(out, m); len(out) == limit {
				break
			}
		}
	}
	return out, after
}

// Before returns up to limit messages with a Seq below before (0: from the
// newest), newest first, that keep accepts.
func (l *Log) Before(before int64, limit int, keep func(*Message) bool) []*Message {
	all := l.Snapshot()
	var out []*Message
	for i := len(all) - 1; i >= 0 && len(out) < limit; i-- {
		if (before == 0 || all[i].Seq < before) && keep(all[i]) {
			out = append(out, all[i])
		}
	}
	return out
}

// Clear forgets every message, in the journal too; Seq goes on from where it was.
func (l *Log) Clear() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reset()
	if l.journal == nil {
		return nil
	}
	return l.journal.truncate()
}

// Match reports whether a message is on the channel and for the recipient;
// empty matches all. A recipient is compared without regard to case.
func Match(m *Message, channel, to string) bool {
	return (channel == "" || m.Channel == channel) && (to == "" || strings.EqualFold(m.To, to))
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import "hash/maphash"

type tally struct {
	ChannelStats
	recipients map[string]struct{}
}

// ChannelStats are one channel's counts since the log began or was cleared;
// they outlast the messages that memory had no room for.
type ChannelStats struct {
	// Messages were accepted.
	Messages int `json:"messages"`
	// Recipients are distinct.
	Recipients int `json:"recipients"`
	// Duplicates arrived with a key their recipient already had.
	Duplicates int `json:"duplicates"`
	// Repeats arrived with content their recipient already had (LINE and SMS).
	Repeats int `json:"repeats"`
	// Statuses counts messages by what has become of them.
	Statuses map[string]int `json:"statuses"`
}

// count fills in Earlier and Repeats and adds the message to its channel's tally.
func (l *Log) count(m *Message) {
	t := l.tally[m.Channel]
	if t == nil {
		t = &tally{recipients: map[string]struct{}{}}
		t.Statuses = map[string]int{}
		l.tally[m.Channel] = t
	}
	t.Messages++
	t.Statuses[m.Status]++
	t.recipients[m.To] = struct{}{}
	m.Earlier, m.Repeats = 0, 0
	if m.Key != "" {
		h := l.hash(m.Channel, m.To, m.Key)
		m.Earlier = l.keys[h]
		l.keys[h]++
	}
	if c := content(m); c != "" {
		h := l.hash(m.Channel, m.To, c)
		m.Repeats = l.contents[h]
		l.contents[h]++
	}
	if m.Earlier > 0 {
		t.Duplicates++
	}
	if m.Repeats > 0 {
		t.Repeats++
	}
}

func content(m *Message) string {
	if m.Line != nil {
		return string(m.Line.Messages)
	}
	if m.SMS != nil {
		return m.Text
	}
	return ""
}

func (l *Log) hash(parts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seed)
	for _, p := range parts {
		_, _ = h.WriteString(p)
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

// Stats returns the counts by channel.
func (l *Log) Stats() map[string]ChannelStats {
	l.mu.RLock()
	defer l.mu.RUnlock()
	out := map[string]ChannelStats{}
	for channel, t := range l.tally {
		s := t.ChannelStats
		s.Recipients = len(t.recipients)
		s.Statuses = make(map[string]int, len(t.Statuses))
		for k, v := range t.Statuses {
			s.Statuses[k] = v
		}
		out[channel] = s
	}
	return out
}

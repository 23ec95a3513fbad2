// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package record

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"
)

func open(t *testing.T, o Options) *Log {
	t.Helper()
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func add(t *testing.T, l *Log, m Message) Message {
	t.Helper()
	m, err := l.Add(m)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDuplicatesAndRepeats(t *testing.T) {
	l := open(t, Options{})
	tests := []struct {
		name             string
		message          Message
		earlier, repeats int
	}{
		{"first mail", Message{Channel: Email, Key: "k", To: "a"}, 0, 0},
		{"same key, other recipient", Message{Channel: Email, Key: "k", To: "b"}, 0, 0},
		{"same key, same recipient", Message{Channel: Email, Key: "k", To: "a"}, 1, 0},
		{"and again", Message{Channel: Email, Key: "k", To: "a"}, 2, 0},
		{"no key", Message{Channel: Email, To: "a"}, 0, 0},
		{"no key again", Message{Channel: Email, To: "a"}, 0, 0},
		{"first SMS", Message{Channel: SMS, Key: "s1", To: "+1", Text: "x", SMS: &Text{}}, 0, 0},
		{"same text", Message{Channel: SMS, Key: "s2", To: "+1", Text: "x", SMS: &Text{}}, 0, 1},
		{"same text to another", Message{Channel: SMS, Key: "s3", To: "+2", Text: "x", SMS: &Text{}}, 0, 0},
	}
	for _, tt := range tests {
		if m := add(t, l, tt.message); m.Earlier != tt.earlier || m.Repeats != tt.repeats {
			t.Errorf("%s: earlier %d repeats %d, want %d %d", tt.name, m.Earlier, m.Repeats, tt.earlier, tt.repeats)
		}
	}
	stats := l.Stats()
	if e := stats[Email]; e.Messages != 6 || e.Recipients != 2 || e.Duplicates != 2 {
		t.Errorf("email: %+v", e)
	}
	if s := stats[SMS]; s.Messages != 3 || s.Recipients != 2 || s.Duplicates != 0 || s.Repeats != 1 {
		t.Errorf("sms: %+v", s)
	}
}

func TestBound(t *testing.T) {
	tests := map[string]Options{
		"messages": {MaxMessages: 3},
		"bytes":    {MaxBytes: 3 * (512 + 1000)},
	}
	for name, o := range tests {
		t.Run(name, func(t *testing.T) {
			l := open(t, o)
			for range 10 {
				add(t, l, Message{Channel: Email, To: "a", Raw: make([]byte, 1000)})
			}
			held := l.Snapshot()
			if len(held) != 3 || held[0].Seq != 8 {
				t.Errorf("%d messages from %d held, want 3 from 8", len(held), held[0].Seq)
			}
			if _, ok := l.Get(7); ok {
				t.Error("an evicted message was found")
			}
			if n := l.Stats()[Email].Messages; n != 10 {
				t.Errorf("counted %d, want all 10", n)
			}
		})
	}
}

func TestSinceAndBefore(t *testing.T) {
	l := open(t, Options{})
	for i := range 10 {
		add(t, l, Message{Channel: []string{Email, SMS}[i%2], To: "a"})
	}
	mails := func(m *Message) bool { return Match(m, Email, "A") }
	first, next := l.Since(0, 2, mails)
	if len(first) != 2 || first[1].Seq != 3 || next != 3 {
		t.Errorf("first page ends at %d, next %d, want 3 and 3", first[1].Seq, next)
	}
	rest, next := l.Since(next, 100, mails)
	if len(rest) != 3 || next != 10 {
		t.Errorf("rest %d, next %d, want 3 and 10: the SMS at the end is passed", len(rest), next)
	}
	if none, next := l.Since(10, 100, mails); len(none) != 0 || next != 10 {
		t.Errorf("past the end: %d, next %d", len(none), next)
	}
	if newest := l.Before(0, 2, mails); newest[0].Seq != 9 || newest[1].Seq != 7 {
		t.Errorf("newest %d and %d, want 9 and 7", newest[0].Seq, newest[1].Seq)
	}
	if older := l.Before(7, 100, mails); len(older) != 3 || older[0].Seq != 5 {
		t.Errorf("older than 7: %d from %d, want 3 from 5", len(older), older[0].Seq)
	}
}

func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	clock := testclock.NewFakePassiveClock(time.Date(2026, 10, 1, 1, 0, 0, 0, time.UTC))
	l := open(t, Options{Journal: path, Clock: clock})
	mail := add(t, l, Message{Channel: Email, Key: "k", To: "a", Status: Delivered, Raw: []byte("Subject: x\r\n\r\n\xff")})
	sms := add(t, l, Message{Channel: SMS, Key: "s", To: "+1", Status: Queued, SMS: &Text{Segments: 1}})
	sentAt := time.Now().UTC()
	if _, ok, err := l.SetStatus(Status{Seq: sms.Seq, Status: Undelivered, ErrorCode: 30003, SentAt: &sentAt}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// What a kill leaves behind.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"message":{"seq":3,"chan`); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()

	l = open(t, Options{Journal: path})
	got, ok := l.Get(mail.Seq)
	if !ok || string(got.Raw) != string(mail.Raw) || !got.Time.Equal(clock.Now()) {
		t.Errorf("after a restart: %+v", got)
	}
	if got, _ := l.Get(sms.Seq); got.Status != Undelivered || got.ErrorCode != 30003 || !got.SMS.SentAt.Equal(sentAt) {
		t.Errorf("after a restart: %+v", got)
	}
	again := add(t, l, Message{Channel: Email, Key: "k", To: "a"})
	if again.Seq != 3 || again.Earlier != 1 {
		t.Errorf("seq %d earlier %d, want 3 and 1", again.Seq, again.Earlier)
	}
	if err := l.Clear(); err != nil {
		t.Fatal(err)
	}
	after := add(t, l, Message{Channel: Email, Key: "k", To: "a"})
	if after.Seq != 4 || after.Earlier != 0 || l.Stats()[Email].Messages != 1 {
		t.Errorf("after clearing: %+v %+v", after, l.Stats())
	}
	_ = l.Close()
	if l = open(t, Options{Journal: path}); len(l.Snapshot()) != 1 {
		t.Errorf("%d messages in a cleared journal, want the one after it", len(l.Snapshot()))
	}
}

func TestJournalDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	if err := os.WriteFile(path, []byte("{}\nnot JSON\n{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Journal: path}); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("got %v, want the line named", err)
	}
}

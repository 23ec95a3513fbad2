// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package people

import (
	"fmt"
	"strings"
	"testing"
)

func TestBook(t *testing.T) {
	b, err := NewBook(Recipient{Channel: "email", ID: "Gone@Example.jp", State: Unknown}, Recipient{Channel: "line", ID: "U1", Name: "はな"})
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Get("email", "gone@example.jp").State; got != Unknown {
		t.Errorf("state %q, want unknown whatever the case", got)
	}
	if got := b.Get("sms", "gone@example.jp").State; got != Reachable {
		t.Errorf("another channel's state %q, want reachable", got)
	}
	if got := b.Get("line", "U1"); got.Name != "はな" || got.State != Reachable {
		t.Errorf("%+v", got)
	}
	if err := b.Set(Recipient{Channel: "email", ID: "gone@example.jp", State: Reachable}); err != nil {
		t.Fatal(err)
	}
	if l := b.List(); len(l) != 1 || l[0].ID != "U1" {
		t.Errorf("list %+v, want only the named one", l)
	}
}

func TestBookRefuses(t *testing.T) {
	tests := map[string]struct {
		recipient Recipient
		want      string
	}{
		"channel": {Recipient{Channel: "fax", ID: "1"}, "write email, line or sms"},
		"state":   {Recipient{Channel: "line", ID: "1", State: Landline}, "write one of reachable, blocked, unknown"},
		"id":      {Recipient{Channel: "line"}, "id is missing"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := NewBook(tt.recipient); !strings.Contains(fmt.Sprint(err), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

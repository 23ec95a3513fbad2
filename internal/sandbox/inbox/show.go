// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package inbox

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kaeru-dev/kaeru/internal/sandbox/reading"
	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

// shown is one message opened: its facts, and what its recipient sees.
type shown struct {
	record.Message
	At    moment
	Clock string // on the phone's display
	Back  string
	OnlyTo,
	Initial string
	Status string

	Mail *mailView
	Talk []*node
	SMS  *smsView
}

type mailView struct {
	FromName, FromAddress, ToHeader string
	Unsubscribe                     string
	OneClick                        bool
	Views                           []tab
	Frame                           string // the sandboxed frame's document
	Plain                           *node
	Headers                         []header
	Raw                             string
	Empty                           bool
}

type header struct{ Name, Value string }

type smsView struct {
	Text *node
	Note string
}

func (s *server) show(m record.Message, f filter) *shown {
	m = reading.Decode(m)
	v := &shown{
		Message: m, At: s.moment(m.Time), Clock: m.Time.In(s.zone).Format("15:04"), Back: f.link(),
		OnlyTo: f.link("to", m.To, "before", "", "m", strconv.FormatInt(m.Seq, 10)), Status: m.Status,
	}
	if m.ErrorCode != 0 {
		v.Status += " " + strconv.Itoa(m.ErrorCode)
	}
	from := m.From
	switch m.Channel {
	case record.Email:
		v.Mail = mailShown(m, f)
		from = v.Mail.FromName
	case record.LINE:
		v.Talk = talk(m.Line.Messages)
	case record.SMS:
		parts := "1 part"
		if m.SMS.Segments != 1 {
			parts = fmt.Sprintf("%d parts", m.SMS.Segments)
		}
		v.SMS = &smsView{Text: linked("sms-text", m.Text),
			Note: fmt.Sprintf("%s · %s · %d characters", parts, m.SMS.Encoding, utf8.RuneCountInString(m.Text))}
	}
	v.Initial = initial(from)
	return v
}

func initial(s string) string {
	r, _ := utf8.DecodeRuneInString(strings.TrimLeft(s, `"'<+ `))
	if r == utf8.RuneError || unicode.IsDigit(r) {
		return "#"
	}
	return strings.ToUpper(string(r))
}

func mailShown(m record.Message, f filter) *mailView {
	v := &mailView{Raw: fmt.Sprintf("/api/messages/%d/raw", m.Seq), ToHeader: recipients(get(m.Headers, "To"))}
	v.FromName, v.FromAddress = address(get(m.Headers, "From"))
	for _, part := range strings.Split(get(m.Headers, "List-Unsubscribe"), ",") {
		if u := strings.Trim(strings.TrimSpace(part), "<>"); v.Unsubscribe == "" && isWeb(u) {
			v.Unsubscribe = u
		}
	}
	v.OneClick = strings.EqualFold(get(m.Headers, "List-Unsubscribe-Post"), "List-Unsubscribe=One-Click")
	names := make([]string, 0, len(m.Headers))
	for name := range m.Headers {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		for _, value := range m.Headers[name] {
			v.Headers = append(v.Headers, header{name, value})
		}
	}
	which := f.View
	if which != "text" && which != "headers" {
		which = "html"
		if m.HTML == "" {
			which = "text"
		}
	}
	for _, t := range []tab{{Name: "Mail", Channel: "html"}, {Name: "Text", Channel: "text"}, {Name: "Headers", Channel: "headers"}} {
		if t.Channel == "html" && m.HTML == "" {
			continue
		}
		t.Current = t.Channel == which
		t.Link = f.link("m", strconv.FormatInt(m.Seq, 10), "view", t.Channel)
		v.Views = append(v.Views, t)
	}
	switch which {
	case "html":
		v.Frame = frameStyle + sanitise(m.HTML)
	case "text":
		v.Plain = linked("plain", m.Text)
	}
	if which != "headers" {
		v.Headers = nil
	}
	v.Empty = which == "text" && strings.TrimSpace(m.Text) == ""
	return v
}

// frameStyle gives a mail that says nothing of its own what mail programs give it.
const frameStyle = `<!doctype html><meta charset="utf-8"><style>body{margin:0;padding:0;font-family:-apple-system,"Hiragino Sans","Noto Sans JP","Noto Sans CJK JP","Yu Gothic UI",Meiryo,system-ui,sans-serif;overflow-wrap:anywhere}img{max-width:100%}</style>`

func get(headers map[string][]string, name string) string {
	for k, v := range headers {
		if strings.EqualFold(k, name) && len(v) > 0 {
			return v[0]
		}
	}
	return ""
}

// recipients writes a To header without the brackets that mail programs hide.
func recipients(s string) string {
	if strings.HasPrefix(s, "<") && strings.HasSuffix(s, ">") {
		return s[1 : len(s)-1]
	}
	return s
}

// address splits a From header, already decoded, into name and address.
func address(s string) (name, mailbox string) {
	before, after, ok := strings.Cut(s, "<")
	if !ok {
		return s, s
	}
	mailbox = strings.TrimSuffix(strings.TrimSpace(after), ">")
	if name = strings.Trim(strings.TrimSpace(before), `"`); name == "" {
		name = mailbox
	}
	return name, mailbox
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package preview

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kaeru-dev/kaeru/internal/journey"
)

// Formats are the forms that Write knows.
var Formats = []string{"text", "json", "html", "eml"}

// Write writes the preview in one of Formats.
func (p *Preview) Write(w io.Writer, format string) error {
	switch format {
	case "text":
		return p.writeText(w)
	case "json":
		out := json.NewEncoder(w)
		out.SetEscapeHTML(false)
		out.SetIndent("", "  ")
		return out.Encode(p)
	case "html":
		_, err := io.WriteString(w, p.HTML())
		return err
	case "eml":
		if p.raw == nil {
			return p.noMail()
		}
		_, err := w.Write(p.raw)
		return err
	}
	return fmt.Errorf("--output %q: write %s", format, strings.Join(Formats, ", "))
}

func (p *Preview) noMail() error {
	switch {
	case p.Kind != string(journey.KindEmail):
		return fmt.Errorf("-o eml: step %q sends no mail, but %s", p.Step, p.Kind)
	case p.Email == nil:
		return fmt.Errorf("-o eml: the mail cannot be made: %s", p.why())
	case p.To == "":
		return errors.New("-o eml: the customer has no mail address")
	}
	return fmt.Errorf("-o eml: ChannelConfig %q is not there, so the mail has no sender: add its file with -f", p.Channel)
}

func (p *Preview) why() string {
	var out []string
	for _, s := range p.Skips {
		out = append(out, s.Reason+": "+s.Message)
	}
	return strings.Join(out, "; ")
}

// writeText is a head of what is known, and the message as text.
func (p *Preview) writeText(w io.Writer) error {
	var b bytes.Buffer
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-11s%s\n", name, printable(value))
		}
	}
	line("SCENARIO", p.Scenario+", revision "+p.Revision)
	step := p.Step
	if p.Variant != "" {
		step += ", variant " + p.Variant
	}
	if p.Fallback {
		step += ", fallback"
	}
	line("STEP", step)
	channel := p.Kind
	if p.Channel != "" {
		channel += " through " + p.Channel
	}
	if p.Mode != "" && p.Mode != "Live" {
		channel += ", mode " + p.Mode
	}
	line("CHANNEL", channel)
	line("CUSTOMER", p.Customer)
	line("FROM", p.From)
	line("TO", p.To)
	for _, s := range p.Skips {
		line("SKIPPED", s.Reason+": "+s.Message)
	}
	if len(p.Skips) == 0 {
		line("SENT", "yes, if it were due now")
	}
	for _, note := range p.Notes {
		line("NOTE", note)
	}
	switch {
	case p.Email != nil:
		line("SUBJECT", p.Email.Subject)
		line("PREHEADER", p.Email.Preheader)
		b.WriteString("\n" + readable(p.Email.Text) + "\n")
	case p.SMS != nil:
		size := fmt.Sprintf("%d, %s, %d units", p.SMS.Parts, p.SMS.Encoding, p.SMS.Units)
		line("PARTS", size)
		line("COST", p.SMS.Cost)
		b.WriteString("\n" + readable(p.SMS.Text) + "\n")
	case p.Line != nil:
		for _, m := range p.Line {
			b.WriteString("\n" + readable(indented(m)) + "\n")
		}
	case p.Webhook != nil:
		line("URL", p.Webhook.URL)
		b.WriteString("\n" + readable(indented(p.Webhook.Body)) + "\n")
	}
	_, err := w.Write(b.Bytes())
	return err
}

// HTML is a page for a browser: a mail's own, and of others their text.
func (p *Preview) HTML() string {
	if p.Email != nil && p.Email.HTML != "" {
		return p.Email.HTML
	}
	var b bytes.Buffer
	_ = p.writeText(&b) // a buffer takes it
	return `<!DOCTYPE html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>` + html.EscapeString(p.Scenario+" "+p.Step) +
		`</title></head><body><pre style="white-space:pre-wrap">` + html.EscapeString(b.String()) + "</pre></body></html>\n"
}

func indented(text json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return string(text)
	}
	return b.String()
}

// printable keeps a value on its line. What customers wrote may hold what commands a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return utf8.RuneError
	}, s)
}

// readable is printable with line breaks.
func readable(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = printable(strings.ReplaceAll(lines[i], "\t", "    "))
	}
	return strings.Join(lines, "\n")
}

// Mask shows as much of an address as tells it from others to those who know them.
func Mask(kind journey.Kind, address string) string {
	if address == "" {
		return ""
	}
	if at := strings.LastIndexByte(address, '@'); kind == journey.KindEmail && at > 0 {
		_, size := utf8.DecodeRuneInString(address)
		return address[:size] + "…" + address[at:]
	}
	shown := []rune(address)
	if len(shown) <= 6 {
		return "…"
	}
	return string(shown[:3]) + "…" + string(shown[len(shown)-2:])
}

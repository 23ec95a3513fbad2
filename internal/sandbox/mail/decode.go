// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package mail

import (
	"bytes"
	"io"
	"mime"
	"strings"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset" // mail in ISO-2022-JP and Shift_JIS
	gomail "github.com/emersion/go-message/mail"

	"github.com/kaeru-dev/kaeru/internal/sandbox/links"
	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
)

// maxPart bounds what is decoded of one part.
const maxPart = 8 << 20

// Decode fills in a recorded mail's subject, headers, text, HTML and links from
// what came over the wire. What cannot be decoded stays empty or as it is: the
// page is there to show broken mail too.
func Decode(m record.Message) record.Message {
	entity, err := message.Read(bytes.NewReader(m.Raw))
	if entity == nil {
		if err != nil {
			m.Text = string(m.Raw)
		}
		return m
	}
	m.Headers = map[string][]string{}
	for fields := entity.Header.Fields(); fields.Next(); {
		value, err := fields.Text()
		if err != nil {
			value = fields.Value()
		}
		m.Headers[fields.Key()] = append(m.Headers[fields.Key()], value)
	}
	m.Subject = first(m.Headers, "Subject")
	_ = entity.Walk(func(_ []int, part *message.Entity, err error) error {
		if part == nil || (err != nil && !message.IsUnknownCharset(err)) {
			return nil
		}
		readPart(&m, part)
		return nil
	})
	m.Links = links.Text(m.Text)
	if m.HTML != "" {
		found := links.HTML(m.HTML)
		m.Links = links.Merge(found.Links, m.Links)
		m.Images = found.Images
	}
	return m
}

func readPart(m *record.Message, part *message.Entity) {
	kind, _, _ := part.Header.ContentType()
	disposition, _, _ := part.Header.ContentDisposition()
	if strings.EqualFold(disposition, "attachment") || (kind != "text/plain" && kind != "text/html") {
		return
	}
	b, _ := io.ReadAll(io.LimitReader(part.Body, maxPart))
	switch {
	case kind == "text/plain" && m.Text == "":
		m.Text = string(b)
	case kind == "text/html" && m.HTML == "":
		m.HTML = string(b)
	}
}

// Heading decodes only the subject and the From header, for lists.
func Heading(raw []byte) (subject, from string) {
	end := bytes.Index(raw, []byte("\r\n\r\n"))
	if end < 0 {
		end = len(raw) - 2
	}
	if end < 0 {
		return "", ""
	}
	entity, _ := message.Read(bytes.NewReader(append(raw[:end+2:end+2], '\r', '\n')))
	if entity == nil {
		return "", ""
	}
	h := gomail.Header{Header: entity.Header}
	if subject, _ = h.Subject(); subject == "" {
		subject, _ = (&mime.WordDecoder{}).DecodeHeader(h.Get("Subject"))
	}
	if from, _ = h.Text("From"); from == "" {
		from = h.Get("From")
	}
	return subject, from
}

func first(headers map[string][]string, name string) string {
	for k, v := range headers {
		if strings.EqualFold(k, name) && len(v) > 0 {
			return v[0]
		}
	}
	return ""
}

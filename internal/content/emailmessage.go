// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"context"
	"errors"
	"html"
	"strings"
	"unicode"

	"github.com/kaeru-dev/kaeru/internal/content/liquid"
	"github.com/kaeru-dev/kaeru/internal/content/mjml"
)

// Email is a compiled mail.
type Email struct{ subject, html, text *template }

// CompileEmail compiles a mail. What is wrong with it is an *Error.
func (c *Compiler) CompileEmail(ctx context.Context, src EmailSource) (*Email, error) {
	switch {
	case strings.TrimSpace(src.Subject) == "":
		return nil, &Error{Field: "subject", Message: "a mail needs a subject"}
	case src.MJML != "" && src.HTML != "":
		return nil, &Error{Field: "html", Message: "set mjml or html, not both"}
	case src.MJML == "" && src.HTML == "" && src.Text == "":
		return nil, &Error{Field: "text", Message: "a mail needs a body: set mjml, html or text"}
	}
	e := &Email{}
	var err error
	if e.subject, err = c.text("subject", src.Subject); err != nil {
		return nil, err
	}
	if err := c.compileHTML(ctx, e, src); err != nil {
		return nil, err
	}
	if src.Text != "" {
		if e.text, err = c.text("text", src.Text); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// compileHTML compiles the body in HTML, and a text made of it.
func (c *Compiler) compileHTML(ctx context.Context, e *Email, src EmailSource) error {
	field, source := "html", src.HTML
	if src.MJML != "" {
		field, source = "mjml", src.MJML
	}
	if source == "" {
		return nil
	}
	options := liquid.Options{Escape: true, Limits: c.limits}
	// First as it was written, for the sake of the lines in messages.
	if _, err := liquid.Compile(source, options); err != nil {
		return fieldError(field, err, true)
	}
	if err := checkImages(field, source); err != nil {
		return err
	}
	if src.MJML != "" {
		var err error
		if source, err = c.fromMJML(ctx, source); err != nil {
			return err
		}
	}
	if src.HTML != "" {
		var err error
		if source, err = inlineStyles(source); err != nil {
			return err
		}
	}
	body := source
	if src.Preheader != "" {
		if _, err := liquid.Compile(src.Preheader, options); err != nil {
			return fieldError("preheader", err, true)
		}
		body = addPreheader(body, src.Preheader)
	}
	options.Marks = true
	t, err := liquid.Compile(addPixel(markLinks(body)), options)
	if err != nil {
		return fieldError(field, err, src.MJML == "")
	}
	e.html = &template{Template: t, field: field, lines: src.MJML == ""}
	if src.Text != "" {
		return nil
	}
	// Made of the template, so that no customer's mail has to be taken apart.
	text, err := liquid.Compile(textOf(source), liquid.Options{Limits: c.limits})
	if err != nil {
		return &Error{Field: field, Message: "no text can be made of it, because its tags cross: write text beside it"}
	}
	e.text = &template{Template: text, field: field}
	return nil
}

// fromMJML compiles MJML with the templates' tags kept out of its sight.
func (c *Compiler) fromMJML(ctx context.Context, source string) (string, error) {
	h := hide(source)
	out, err := c.mjml.Compile(ctx, h.source)
	var e *mjml.Error
	if errors.As(err, &e) {
		return "", &Error{Field: "mjml", Line: e.Line, Message: h.show(e.Message)}
	}
	if err != nil {
		return "", err
	}
	if line, tag := h.lost(out); line > 0 {
		return "", &Error{Field: "mjml", Line: line, Message: tag + " stands where MJML keeps no text: wrap it in <mj-raw>"}
	}
	return h.show(out), nil
}

// Render makes the mail for one customer. It fails with *MissingValueError where the customer lacks
// what the template needs, and with *Error where the template does not work out for them.
func (e *Email) Render(ctx context.Context, data *Data, links Links) (Mail, error) {
	m := newMessage(ctx, data, links)
	subject, err := m.render(e.subject)
	if err != nil {
		return Mail{}, err
	}
	mail := Mail{Subject: oneLine(subject.Text)}
	if mail.Subject == "" {
		return Mail{}, &Error{Field: "subject", Message: "the subject is empty for this customer"}
	}
	if e.html != nil {
		if mail.HTML, err = m.html(e.html); err != nil {
			return Mail{}, err
		}
	}
	text, err := m.render(e.text)
	if err != nil {
		return Mail{}, err
	}
	mail.Text = tidy(rewrite(text, m.link))
	return mail, nil
}

func (m *message) html(t *template) (string, error) {
	if m.links.Opens && m.links.Signer != nil {
		address, err := m.links.OpenURL()
		if err != nil {
			return "", err
		}
		m.env.Pixel = func() string {
			return `<img src="` + html.EscapeString(address) + `" width="1" height="1" alt="" style="display:block;border:0;width:1px;height:1px">`
		}
	}
	res, err := m.render(t)
	return res.Text, err
}

// oneLine makes a header of a text: without line breaks and what else controls, a value cannot add
// headers of its own.
func oneLine(s string) string {
	if strings.ContainsFunc(s, unicode.IsControl) {
		s = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return ' '
			}
			return r
		}, s)
	}
	return strings.Join(strings.Fields(s), " ")
}

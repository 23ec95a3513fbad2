// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
)

const reviewMJML = `<mjml>
<mj-head><mj-preview>{{ shop.name }}</mj-preview></mj-head>
<mj-body>
<mj-section><mj-column>
<mj-text>{{ customer.first_name | sama }}、{% if customer.age > 20 and 1 < 2 %}old{% else %}<b>使い心地</b>は?{% endif %}</mj-text>
<mj-raw>{% for p in recommendations %}</mj-raw>
<mj-image src="{{ p.image_url }}" href="{{ p.url }}" alt='{{ p.name | default: "a picture" }}' />
<mj-text>{{ p.name }} {{ p.price | yen }}</mj-text>
<mj-raw>{% endfor %}</mj-raw>
<mj-button href="https://shop.example/review?c={{ coupon.code }}&amp;x=1">Review</mj-button>
<mj-text><a href="{{ links.unsubscribe }}">Stop</a></mj-text>
</mj-column></mj-section>
</mj-body>
</mjml>`

func TestRenderMJML(t *testing.T) {
	links := testLinks(t)
	email := mustEmail(t, EmailSource{Subject: "{{ customer.first_name }}さん", Preheader: "{{ coupon.code }} & more", MJML: reviewMJML})
	mail, err := email.Render(context.Background(), testData(t), links)
	if err != nil {
		t.Fatal(err)
	}
	html := shown(t, mail.HTML, links, nil)
	for _, want := range []string{
		"花子様、<b>使い心地</b>は?",
		`src="https://img.example/1.png"`, `alt="Soap &amp; Co"`, "Tea ¥800",
		`href="<l https://shop.example/p1?a=1&b=2>"`, `href="<l https://shop.example/review?c=KAERU15&x=1>"`, `href="<u>"`,
		"KAERU15 &amp; more</div>", `<img src="<o>" width="1"`,
	} {
		if !strings.Contains(html, want) {
			t.Errorf("no %s in %s", want, html)
		}
	}
	if i, j := strings.Index(html, "<o>"), strings.Index(html, "</body>"); i < 0 || i > j {
		t.Error("the picture of an open is not in the body")
	}
	if strings.Contains(mail.HTML, "kaerutag") || strings.ContainsAny(mail.HTML, "\uFDD0\uFDD1\uFDD2") {
		t.Error("what was put in for compiling is still there")
	}
	wantText := `花子様、使い心地は?

Soap & Co (<l https://shop.example/p1?a=1&b=2>)
Soap & Co ¥1,200

Tea (<l https://shop.example/p2>)
Tea ¥800

Review (<l https://shop.example/review?c=KAERU15&x=1>)
Stop (<u>)`
	if got := shown(t, mail.Text, links, nil); got != wantText {
		t.Errorf("the text is\n%s\nwant\n%s", got, wantText)
	}
	if mail.Subject != "花子さん" {
		t.Errorf("subject %q", mail.Subject)
	}
}

func TestRenderHTML(t *testing.T) {
	tests := map[string]struct{ source, want string }{
		"a link":                  {`<a class="x" href="https://a.example/?a=1&amp;b=2">x</a>`, `<a class="x" href="<l https://a.example/?a=1&b=2>">x</a>`},
		"single quotes":           {`<a href='https://a.example'>x</a>`, `<a href='<l https://a.example>'>x</a>`},
		"no quotes":               {`<a href=https://a.example/x>x</a>`, `<a href=<l https://a.example/x>>x</a>`},
		"capitals":                {`<A HREF = "HTTPS://a.example">x</A>`, `<A HREF = "<l HTTPS://a.example>">x</A>`},
		"an area":                 {`<area href="https://a.example" />`, `<area href="<l https://a.example>" />`},
		"for Outlook":             {`<!--[if mso]><v:roundrect href="https://a.example"></v:roundrect><![endif]-->`, `<!--[if mso]><v:roundrect href="<l https://a.example>"></v:roundrect><![endif]-->`},
		"not for Outlook":         {`<!--[if !mso]><!--><a href="https://a.example">x</a><!--<![endif]-->`, `<!--[if !mso]><!--><a href="<l https://a.example>">x</a><!--<![endif]-->`},
		"a comment":               {`<!-- <a href="https://a.example"> -->`, `<!-- <a href="https://a.example"> -->`},
		"a font":                  {`<link href="https://fonts.example" rel="stylesheet">`, `<link href="https://fonts.example" rel="stylesheet">`},
		"text about href":         {`<p>write href="https://a.example"</p>`, `<p>write href="https://a.example"</p>`},
		"a style":                 {`<style>a > b { } /* <a href="https://a.example"> */</style>`, `<style>a > b { } /* <a href="https://a.example"> */</style>`},
		"a place in the mail":     {`<a href="#top">x</a><a href="mailto:a@b.example">y</a>`, `<a href="#top">x</a><a href="mailto:a@b.example">y</a>`},
		"a template in the tag":   {`<a {% if customer.none %}href="https://a.example"{% else %}href="https://b.example"{% endif %}>x</a>`, `<a href="<l https://b.example>">x</a>`},
		"a > in a template":       {`<a title="{% if 2 > 1 %}y{% endif %}" href="https://a.example">x</a>`, `<a title="y" href="<l https://a.example>">x</a>`},
		"quotes in a template":    {`<a href="{{ shop.lowStock | default: "https://a.example" }}">x</a>`, `<a href="<l https://a.example>">x</a>`},
		"a customer's address":    {`<a href="{{ customer.site }}">x</a>`, `<a href="https://evil.example/me">x</a>`},
		"or perhaps a customer's": {`<a href="{{ customer.none | default: "https://a.example" }}">x</a>`, `<a href="https://a.example">x</a>`},
		"a customer's host":       {`<a href="https://{{ customer.host }}/a">x</a>`, `<a href="https://evil.example/a">x</a>`},
		"a customer's part of it": {`<a href="https://shop.example{{ customer.tail }}">x</a>`, `<a href="https://shop.example.evil.example/a">x</a>`},
		"a customer's path":       {`<a href="https://shop.example/{{ customer.host }}?a={{ customer.tail }}">x</a>`, `<a href="<l https://shop.example/evil.example?a=.evil.example/a>">x</a>`},
		"the shop's product":      {`<a href="{{ entry.product.url }}">x</a>`, `<a href="<l https://shop.example/p1>">x</a>`},
		"the event's address":     {`<a href="{{ entry.url }}">x</a>`, `<a href="https://evil.example/e">x</a>`},
		"caught from the shop":    {`{% capture u %}{% if 1 > 0 %}{{ shop.url }}/a{% endif %}{% endcapture %}<a href="{{ u }}">x</a>`, `<a href="<l https://shop.example/a>">x</a>`},
		"caught from a customer":  {`{% capture u %}https://{{ customer.host }}{% endcapture %}<a href="{{ u }}">x</a>`, `<a href="https://evil.example">x</a>`},
		"a script from a value":   {`<a href="{{ customer.none | default: 'javascript:alert(1)' }}">x</a>`, `<a href="#">x</a>`},
		"a value cannot get out":  {`<a href="https://a.example/{{ customer.markup }}">{{ customer.markup }}</a>`, `<a href="<l https://a.example/%3Ca%20href=%22https://evil.example%22%3Ex%3C/a%3E>">&lt;a href=&#34;https://evil.example&#34;&gt;x&lt;/a&gt;</a>`},
		"a picture":               {`<img src="https://img.example/a.png" alt="">`, `<img src="https://img.example/a.png" alt="">`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			links := testLinks(t)
			links.Opens = false
			mail, err := mustEmail(t, EmailSource{Subject: "s", HTML: tc.source, Text: "t"}).Render(context.Background(), testData(t), links)
			if err != nil {
				t.Fatal(err)
			}
			if got := shown(t, mail.HTML, links, nil); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
			links.Clicks = false
			mail, err = mustEmail(t, EmailSource{Subject: "s", HTML: tc.source, Text: "t"}).Render(context.Background(), testData(t), links)
			if err != nil || strings.Contains(mail.HTML, "k.example") {
				t.Errorf("without tracking it is %s, %v", mail.HTML, err)
			}
		})
	}
}

func TestLinksHaveTheirPlace(t *testing.T) {
	links := testLinks(t)
	mail, err := mustEmail(t, EmailSource{Subject: "s", HTML: `<a href="https://a.example">a</a><a href="https://b.example">b</a>`}).
		Render(context.Background(), testData(t), links)
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range regexp.MustCompile(`k\.example/l/([^"]+)"`).FindAllStringSubmatch(mail.HTML, -1) {
		c, err := links.Signer.Verify(Click, m[1])
		if err != nil || c.Index != i {
			t.Errorf("link %d says %+v, %v", i, c, err)
		}
	}
	if !strings.HasSuffix(mail.HTML, `1px">`) {
		t.Errorf("without a body, the picture is not at the end: %s", mail.HTML)
	}
}

func TestSubjectIsOneLine(t *testing.T) {
	mail, err := mustEmail(t, EmailSource{Subject: "Hi {{ customer.evil }}\u0085x", Text: "t"}).
		Render(context.Background(), testData(t), testLinks(t))
	if err != nil || mail.Subject != "Hi a Bcc: x@y.example x" || mail.HTML != "" || mail.Text != "t" {
		t.Errorf("got %+v, %v", mail, err)
	}
}

func TestTextOf(t *testing.T) {
	tests := map[string]struct{ source, want string }{
		"paragraphs":                 {"<h1>Title</h1><p>One\n two.</p><p>Three</p>", "Title\n\nOne two.\n\nThree"},
		"blocks":                     {"<div>a</div><div>b<div>c</div></div>d", "a\nb\nc\nd"},
		"line breaks":                {"a<br>b<br/>c", "a\nb\nc"},
		"inline":                     {"<b>a</b>b <i>c</i> , d", "ab c , d"},
		"a list":                     {"<ul><li>a</li><li>b</li></ul>c", "- a\n- b\n\nc"},
		"cells":                      {"<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b\nc"},
		"a link":                     {`<a href="https://a.example/?a=1&amp;b=2">see</a>`, "see (https://a.example/?a=1&b=2)"},
		"a link that is one":         {`<a href="https://a.example">https://a.example</a> <a href="mailto:a@b.example">a@b.example</a>`, "https://a.example a@b.example"},
		"a picture's link":           {`<a href="https://a.example"><img src="x" alt="Sale"></a><a href="https://b.example"><img src="y"></a>`, "Sale (https://a.example)https://b.example"},
		"what is not shown":          {`<head><title>t</title></head><style>s</style><div style="Display: none">p<div>q</div></div>a<!-- c --><!--[if mso]>m<![endif]-->`, "a"},
		"entities":                   {"a &amp; b&nbsp;&lt;c&gt;", "a & b <c>"},
		"a rule":                     {"a<hr>b", "a\n----\nb"},
		"tags":                       {`{% if customer.x %}<p>{{ customer.x | default: "<y>" }}</p>{% endif %}<a href="{{ p.url }}?a=1">{{ p.name }}</a>`, `{% if customer.x %}` + "\n\n" + `{{ customer.x | default: "<y>" }}` + "\n\n" + `{% endif %}{{ p.name }} ({{ p.url }}?a=1)`},
		"a link that is one in tags": {`<a href="{{ shop.url }}">{{ shop.url }}</a>`, "{{ shop.url }}"},
		"nothing":                    {"", ""},
		"a tag left open":            {`<div style="display:none">a`, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := textOf(tc.source); got != tc.want {
				t.Errorf("got\n%q\nwant\n%q", got, tc.want)
			}
		})
	}
}

func TestCompileEmailRefuses(t *testing.T) {
	section := func(body string) string {
		return "<mjml><mj-body><mj-section><mj-column>\n" + body + "\n</mj-column></mj-section></mj-body></mjml>"
	}
	tests := map[string]struct {
		src   EmailSource
		field string
		line  int
		want  string
	}{
		"no subject":            {EmailSource{Text: "t"}, "subject", 0, "needs a subject"},
		"no body":               {EmailSource{Subject: "s"}, "text", 0, "needs a body"},
		"two bodies":            {EmailSource{Subject: "s", HTML: "h", MJML: "m"}, "html", 0, "not both"},
		"a wrong subject":       {EmailSource{Subject: "{{ a", Text: "t"}, "subject", 1, "is not closed"},
		"a wrong preheader":     {EmailSource{Subject: "s", Preheader: "{{ x }}", HTML: "h"}, "preheader", 1, "unknown variable x"},
		"wrong HTML":            {EmailSource{Subject: "s", HTML: "<p>\n\n{{ customer.x | shout }}"}, "html", 3, "unknown filter"},
		"a wrong text":          {EmailSource{Subject: "s", HTML: "h", Text: "\n{% fi %}"}, "text", 2, "unknown tag fi"},
		"wrong Liquid in MJML":  {EmailSource{Subject: "s", MJML: section("\n<mj-text>{{ shop.x }}</mj-text>")}, "mjml", 3, "shop has no x"},
		"wrong MJML":            {EmailSource{Subject: "s", MJML: section("{{ shop.name }}\n<mj-txt>a</mj-txt>")}, "mjml", 3, "mj-txt doesn't exist"},
		"a template in MJML":    {EmailSource{Subject: "s", MJML: section(`<mj-text colour="{{ shop.name }}">a</mj-text>`)}, "mjml", 2, "colour is illegal"},
		"a tag that MJML drops": {EmailSource{Subject: "s", MJML: section("\n{% if customer.x %}\n<mj-text>a</mj-text>\n{% endif %}")}, "mjml", 3, "{% if customer.x %} stands where MJML keeps no text"},
		"not MJML":              {EmailSource{Subject: "s", MJML: "<p>"}, "mjml", 1, "not MJML"},
		"a link that crosses":   {EmailSource{Subject: "s", HTML: `{% if customer.x %}<a href="https://a{% endif %}">`}, "html", 1, "an address must begin and end"},
		"a mark":                {EmailSource{Subject: "s", HTML: "\uFDD0"}, "html", 1, "is not text"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := testCompile.CompileEmail(context.Background(), tc.src)
			wantError(t, err, tc.field, tc.line, tc.want)
		})
	}
}

func TestRenderErrorsTellNothingOfTheCustomer(t *testing.T) {
	email := mustEmail(t, EmailSource{Subject: "s", HTML: "<p>\n{{ customer.site | yen }}</p>"})
	_, err := email.Render(context.Background(), testData(t), testLinks(t))
	wantError(t, err, "html", 2, "filter yen: the value is not a number")

	email = mustEmail(t, EmailSource{Subject: "{{ customer.none }}", Text: "t"})
	_, err = email.Render(context.Background(), testData(t), testLinks(t))
	var missing *MissingValueError
	if !errors.As(err, &missing) || missing.Field != "subject" || missing.Path != "customer.none" {
		t.Errorf("got %v, want customer.none missing", err)
	}
	email = mustEmail(t, EmailSource{Subject: "{% if customer.none %}x{% endif %}", Text: "t"})
	_, err = email.Render(context.Background(), testData(t), testLinks(t))
	wantError(t, err, "subject", 0, "empty for this customer")
}

func TestRenderConcurrently(t *testing.T) {
	email := mustEmail(t, EmailSource{Subject: "{{ customer.first_name }}", MJML: reviewMJML})
	data, links := testData(t), testLinks(t)
	want, err := email.Render(context.Background(), data, links)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				if got, err := email.Render(context.Background(), data, links); err != nil || got != want {
					t.Errorf("another mail: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzCompileHTML(f *testing.F) {
	f.Add(`<a href="https://a.example/{{ customer.first_name }}">x</a>`, `"><script>`)
	f.Add(`<body><!--[if mso]><a href='{{ customer.first_name }}'><![endif]--></body>`, "javascript:x")
	f.Add(`<style></styl<a href=https://x {% if true %}>{% endif %}`, "")
	f.Fuzz(func(t *testing.T, source, value string) {
		email, err := testCompile.CompileEmail(context.Background(), EmailSource{Subject: "{{ customer.first_name }}", Preheader: "p", HTML: source})
		if err != nil {
			return
		}
		mail, err := email.Render(context.Background(), &Data{Customer: map[string]any{"first_name": value}}, testLinks(t))
		if err == nil && strings.ContainsAny(mail.Subject, "\r\n\x00") {
			t.Errorf("%q makes the subject %q", value, mail.Subject)
		}
	})
}

func benchmarkSource(products int) EmailSource {
	var b strings.Builder
	b.WriteString("<html><body><p>{{ customer.first_name }}さん</p>")
	for i := range products {
		fmt.Fprintf(&b, `<table style="width:100%%;border-collapse:collapse"><tr><td style="padding:8px 16px;font-family:sans-serif;font-size:14px">`+
			`<a href="https://shop.example/items/%d?ref={{ coupon.code }}">Item %d</a> for {{ customer.first_name | sama }} {{ shop.name }}</td></tr></table>`+"\n", i, i)
	}
	b.WriteString("{% for p in recommendations %}<a href=\"{{ p.url }}\">{{ p.name }} {{ p.price | yen }}</a>{% endfor %}")
	b.WriteString(`<p>` + strings.Repeat("Lorem ipsum dolor sit amet, consectetur adipisici elit. ", 140) + `</p><a href="{{ links.unsubscribe }}">stop</a></body></html>`)
	return EmailSource{Subject: "{{ customer.first_name }}さん、使い心地はいかがですか", HTML: b.String()}
}

func BenchmarkRender(b *testing.B) {
	email := mustEmail(b, benchmarkSource(8))
	data, links := testData(b), testLinks(b)
	mail, err := email.Render(context.Background(), data, links)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(mail.HTML)), "bytes")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := email.Render(context.Background(), data, links); err != nil {
			b.Fatal(err)
		}
	}
}

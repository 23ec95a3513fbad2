// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/kaeru-dev/kaeru/internal/content/liquid"
)

func TestInlineStyles(t *testing.T) {
	tests := map[string]struct{ source, want string }{
		"an element":                {`<style>p{color:red}</style><p>a</p>`, `<p style="color:red">a</p>`},
		"a class and an id":         {`<style>.a{color:red}#b{margin:0}</style><p class="a" id=b>x</p>`, `<p style="color:red;margin:0" class="a" id=b>x</p>`},
		"what it says itself wins":  {`<style>p{color:red;margin:0}</style><p style="color:blue">a</p>`, `<p style="color:red;margin:0;color:blue">a</p>`},
		"but not over important":    {`<style>p{color:red !important}</style><p style="color:blue;">a</p>`, `<p style="color:blue;color:red">a</p>`},
		"single quotes":             {`<style>p{font-family:"A B"}</style><p style='color:blue'>a</p>`, `<p style='font-family:&#34;A B&#34;;color:blue'>a</p>`},
		"no quotes":                 {`<style>p{margin:0}</style><p style=color:blue>a</p>`, `<p style="margin:0;color:blue">a</p>`},
		"by specificity":            {`<style>#b{color:blue}p{color:red}.a{color:green}</style><p class=a id=b>x</p><p>y</p>`, `<p style="color:blue" class=a id=b>x</p><p style="color:red">y</p>`},
		"by order":                  {`<style>.a{color:red}.b{color:blue}</style><p class="b a">x</p>`, `<p style="color:blue" class="b a">x</p>`},
		"for old clients":           {`<style>p{background:#000;background:linear-gradient(#000,#fff)}</style><p>x</p>`, `<p style="background:#000;background:linear-gradient(#000,#fff)">x</p>`},
		"a list of selectors":       {`<style>h1, td:first-child , a[title="x,y"]{color:red}</style><h1>x</h1><table><tr><td>1</td><td>2</td></tr></table><a title="x,y">z</a>`, `<h1 style="color:red">x</h1><table><tr><td style="color:red">1</td><td>2</td></tr></table><a style="color:red" title="x,y">z</a>`},
		"a descendant":              {`<style>div .a > b{color:red}</style><div><i class=a><b>x</b></i></div><b>y</b>`, `<div><i class=a><b style="color:red">x</b></i></div><b>y</b>`},
		"two sheets":                {`<style>p{color:red}</style><style type="text/css">p{color:blue}</style><p>x</p>`, `<p style="color:blue">x</p>`},
		"comments":                  {`<style>/* p{margin:0} */ p/* */{ /* x */ color /**/ : red /* ; */ ; }</style><p>x</p>`, `<p style="color:red">x</p>`},
		"an old way to hide":        {`<style><!-- p{color:red} --></style><p>x</p>`, `<p style="color:red">x</p>`},
		"an address":                {`<style>p{background:url(data:image/png;base64,AA==)}</style><p>x</p>`, `<p style="background:url(data:image/png;base64,AA==)">x</p>`},
		"several lines":             {"<style>p{font-family: Arial,\n  sans-serif}</style><p>x</p>", `<p style="font-family:Arial, sans-serif">x</p>`},
		"unclosed":                  {`<style>p{color:red`, ``},
		"a rule that is broken":     {`<style>p{color}}}{ ;; b{:x; color:red; 1:2; margin:}</style><b>x</b><p>y</p>`, `<b>x</b><p>y</p>`},
		"all elements":              {`<style>*{color:red}p *{margin:0}</style><p><b>x</b></p>`, `<p><b>x</b></p>`},
		"a font":                    {`<style>@font-face{font-family:X;src:url(x)}@import url(y);p{margin:0}</style><p>x</p>`, `<p style="margin:0">x</p>`},
		"a page's body":             {`<html><head><title>x</title><style>body{margin:0}title{x:y}</style></head><body class="z">x</body></html>`, `<html><head><title>x</title></head><body style="margin:0" class="z">x</body></html>`},
		"an element without an end": {`<style>br,img{border:0}</style><br><br/><img src="x" alt=""/>`, `<br style="border:0"><br style="border:0"/><img style="border:0" src="x" alt=""/>`},

		"a template in the text":     {`<style>td{color:red}</style><table>{% for p in recommendations %}<tr><td>{{ p.name }}</td></tr>{% endfor %}</table>`, `<table>{% for p in recommendations %}<tr><td style="color:red">{{ p.name }}</td></tr>{% endfor %}</table>`},
		"a template in an address":   {`<style>a{color:red}</style><a href="{{ shop.url | default: "x" }}?a=1&amp;b">z</a>`, `<a style="color:red" href="{{ shop.url | default: "x" }}?a=1&amp;b">z</a>`},
		"a template in the style":    {`<style>a{color:red}</style><a style="width:{{ customer.w }}px">z</a>`, `<a style="color:red;width:{{ customer.w }}px">z</a>`},
		"a value in the sheet":       {`<style>a{color:{{ shop.name | default: "re  d" }};margin:0}</style><a>z</a>`, `<a style="color:{{ shop.name | default: "re  d" }};margin:0">z</a>`},
		"a template in the class":    {`<style>.a{color:red}.b{color:blue}</style><p class="a{% if x %} b{% endif %}">z</p><p class="a {{ y }}">w</p>`, `<p class="a{% if x %} b{% endif %}">z</p><p style="color:red" class="a {{ y }}">w</p>`},
		"attributes from a template": {`<style>a{color:red}</style><a {% if x %}style="margin:0"{% endif %}>z</a><a {{ y }}>w</a>`, `<a {% if x %}style="margin:0"{% endif %}>z</a><a {{ y }}>w</a>`},
		"if in the sheet":            {`<style>{% if x %}a{color:red}{% endif %}</style><a>z</a>`, `<a>z</a>`},
		"two links in a choice":      {`<style>a{color:red}</style><a href="x" {% if x %}href="a"{% else %}href="b"{% endif %}>z</a>`, `<a href="x" {% if x %}href="a"{% else %}href="b"{% endif %}>z</a>`},
		"for Outlook":                {`<style>td{color:red}</style><!--[if mso]><table><tr><td><![endif]--><p>x</p><!--[if mso]></td></tr></table><![endif]-->`, `<!--[if mso]><table><tr><td><![endif]--><p>x</p><!--[if mso]></td></tr></table><![endif]-->`},
		"not for Outlook":            {`<style>p{color:red}</style><!--[if !mso]><!--><p>x</p><!--<![endif]-->`, `<!--[if !mso]><!--><p style="color:red">x</p><!--<![endif]-->`},
		"Outlook's own":              {`<style>p{color:red}</style><!--[if gte mso 9]><style>p{color:blue}</style><xml><o:x/></xml><![endif]--><p>x</p>`, `<!--[if gte mso 9]><style>p{color:blue}</style><xml><o:x/></xml><![endif]--><p style="color:red">x</p>`},
		"markup that is odd":         {`<style>p{color:red}</style><p>a<p>b</b><div></p>`, `<p style="color:red">a<p style="color:red">b</b><div></p>`},
		"an empty style":             {`<style>p{color:red}</style><p style>a</p><p style="">b</p>`, `<p style>a</p><p style="color:red">b</p>`},
		"kept as it is":              {`<style data-embed>p{color:red}</style><style media="print">p{margin:0}</style><p>x</p>`, `<p>x</p>`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := inlineStyles(tt.source)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := sheets.ReplaceAllString(got, ""), sheets.ReplaceAllString(tt.want, ""); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

var sheets = regexp.MustCompile(`(?s)<style.*?(</style>|$)`)

// What stays in <style> wins over what is written into the elements, as it did before.
func TestStylesThatStay(t *testing.T) {
	tests := map[string]struct{ sheet, want string }{
		"a narrow screen": {`.a{color:red}@media (max-width:600px){.a{color:blue;margin:0!important;width : 100% }}`, `.a{color:red}@media (max-width:600px){.a{color:blue !important;margin:0!important;width : 100% !important }}`},
		"hover":           {`a{color:red}a:hover, a:focus{color:blue}`, `a{color:red}a:hover, a:focus{color:blue !important}`},
		"hover and not":   {`a, a:hover{color:blue}`, `a, a:hover{color:blue}`},
		"nested":          {`@supports (a:b){@media x{a{b:c}}}a{d:e}`, `@supports (a:b){@media x{a{b:c !important}}}a{d:e}`},
		"an animation":    {`@keyframes x{from{top:0}to{top:1px}}@media x{@keyframes y{from{top:0}}}a{d:e}`, `@keyframes x{from{top:0}to{top:1px}}@media x{@keyframes y{from{top:0}}}a{d:e}`},
		"no semicolon":    {`@media x{a{b:c}b{d:e;}}a{d:e}`, `@media x{a{b:c !important}b{d:e !important;}}a{d:e}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := inlineStyles("<style>" + tt.sheet + "</style><i>x</i>")
			if want := "<style>" + tt.want + "</style><i>x</i>"; err != nil || got != want {
				t.Errorf("got\n%s\nwant\n%s\n%v", got, want, err)
			}
		})
	}
}

const letter = `<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">
<html xmlns:v="urn:schemas-microsoft-com:vml"><head><style type="text/css">
  .button { background: {{ shop.name | default: "#0a0" }}; color: #fff }
  .phone { display: none }
  @media (max-width: 600px) { .phone { display: block } }
</style></head>
<body><table>{% for p in recommendations %}<tr><td class="cell">{{ p.name }}</td></tr>{% endfor %}</table>
<!--[if mso]><v:roundrect href="https://shop.example/a"><![endif]--><a class="button" href="https://shop.example/a?x={{ coupon.code }}">Go</a><!--[if mso]></v:roundrect><![endif]-->
<p class="phone">Only on phones</p></body></html>`

func TestLetterWithStyles(t *testing.T) {
	mail, err := mustEmail(t, EmailSource{Subject: "s", HTML: letter, Preheader: "pre"}).Render(context.Background(), testData(t), testLinks(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<a style="background:Kaeru Shop;color:#fff" class="button" href="https://k.example/l/`,
		`<!--[if mso]><v:roundrect href="https://k.example/l/`,
		`<tr><td class="cell">Soap &amp; Co</td></tr><tr><td class="cell">Tea</td></tr></table>`,
		`.phone { display: block !important }`, `<!DOCTYPE html PUBLIC "-//W3C//DTD`, `<p style="display:none" class="phone">`,
	} {
		if !strings.Contains(mail.HTML, want) {
			t.Errorf("no %s in\n%s", want, mail.HTML)
		}
	}
	if strings.Contains(mail.Text, "phones") || !strings.Contains(mail.Text, "Tea") {
		t.Errorf("the text is %q", mail.Text)
	}
}

func TestTooManyStyles(t *testing.T) {
	source := "<style>" + strings.Repeat(".a .b .c{x:y}", 3000) + "</style>" + strings.Repeat("<p>", 3000)
	_, err := testCompile.CompileEmail(context.Background(), EmailSource{Subject: "s", HTML: source})
	wantError(t, err, "html", 0, "too many to write into the elements")
	_, err = testCompile.CompileEmail(context.Background(), EmailSource{Subject: "s", HTML: "<style>p{x:y}</style>" + strings.Repeat("<div>", 2000)})
	wantError(t, err, "html", 0, "nested too deep")
	start := time.Now()
	if _, err = testCompile.CompileEmail(context.Background(), EmailSource{Subject: "s", HTML: strings.Repeat("<style>:hover{}{{1}}</style><p {{1}}>", 15000)}); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("it took %v", d)
	}
}

func TestImagesHaveText(t *testing.T) {
	section := func(body string) string {
		return "<mjml><mj-head><mj-attributes><mj-image padding=\"0\" /></mj-attributes></mj-head><mj-body><mj-section><mj-column>\n" + body + "\n</mj-column></mj-section></mj-body></mjml>"
	}
	good := map[string]EmailSource{
		"described":            {HTML: `<img src="x" alt="Soap">`},
		"decoration":           {HTML: `<img src="x" alt="">`},
		"decoration, in short": {HTML: `<img src="x" alt>`},
		"from a template":      {HTML: `<img src="x" {{ customer.x }}><img src="x" alt="{{ customer.name }}">`},
		"for Outlook":          {HTML: `<!--[if mso]><img src="x"><![endif]-->`},
		"MJML":                 {MJML: section(`<mj-image src="x" alt="" />`)},
	}
	for name, src := range good {
		src.Subject = "s"
		if _, err := testCompile.CompileEmail(context.Background(), src); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := testCompile.CompileEmail(context.Background(), EmailSource{Subject: "s", HTML: "<p>\n<img alt='a'><b>\n<IMG src=\"x\">"})
	wantError(t, err, "html", 3, "<img> has no alt")
	_, err = testCompile.CompileEmail(context.Background(), EmailSource{Subject: "s", MJML: section(`<mj-image src="x" />`)})
	wantError(t, err, "mjml", 2, "<mj-image> has no alt")
}

// FuzzInline holds what must always be so: nothing but style attributes and the emphasis changes, and
// every tag of the template's is still there, in its order.
func FuzzInline(f *testing.F) {
	f.Add(letter)
	f.Add(`<style>p{color:red}</style><p style='a'>{{ x }}`)
	f.Add("<style>a{b:c}@media{a{b:c}}</style><a {% if %}style=x><a style=\"{{ '\" }}\"")
	f.Fuzz(func(t *testing.T, source string) {
		if len(source) > 1<<14 {
			return
		}
		options := liquid.Options{Escape: true, Limits: liquid.Limits{Output: 1 << 20, Steps: 1000}}
		if _, err := liquid.Compile(source, options); err != nil {
			return // it is refused before anything is written into it
		}
		got, err := inlineStyles(source)
		if err != nil {
			return
		}
		tags := func(s string) (out []string) {
			for _, span := range liquid.Tags(s) {
				out = append(out, s[span.Start:span.End])
			}
			return out
		}
		before, after := tags(source), tags(got)
		at := 0
		for _, tag := range after {
			if at < len(before) && tag == before[at] {
				at++
			}
		}
		if at != len(before) {
			t.Errorf("%q becomes %q: a tag is lost", source, got)
		}
		if _, err := liquid.Compile(got, options); err != nil {
			t.Errorf("%q becomes %q: %v", source, got, err)
		}
		if _, err := html.Parse(strings.NewReader(got)); err != nil {
			t.Errorf("%q: %v", got, err)
		}
	})
}

// FuzzTextOf makes a text of anything, in which every tag that is shown is whole.
func FuzzTextOf(f *testing.F) {
	f.Add(letter)
	f.Add(`<a href="{{ x }}">{{ y }}</a><td>{% if %}`)
	f.Fuzz(func(t *testing.T, source string) {
		if got := textOf(source); strings.Contains(got, "kaerutag0") && !strings.Contains(source, "kaerutag") {
			t.Errorf("%q becomes %q", source, got)
		}
	})
}

// FuzzRewrite makes links of anything: a customer's words never get the shop's name.
func FuzzRewrite(f *testing.F) {
	f.Add("see https://a.example/x.", "https://evil.example")
	f.Add("http", "://evil.example (x)")
	f.Fuzz(func(t *testing.T, text, value string) {
		tpl, err := liquid.Compile("{{ customer.x }}"+strings.NewReplacer("{", "", "}", "", liquid.LinkStart, "", liquid.LinkEnd, "", liquid.PixelMark, "").Replace(text), liquid.Options{Limits: liquid.Limits{Output: 1 << 20, Steps: 100}})
		if err != nil {
			return
		}
		res, err := tpl.Render(context.Background(), &liquid.Env{Vars: map[string]any{"customer": map[string]any{"x": value}}})
		if err != nil {
			return
		}
		rewrite(res, func(address string, _ int) string {
			if at := strings.Index(res.Text, address); at < 0 || !isHTTP(address) || strings.ContainsAny(address, " \r\n<>\"") {
				t.Errorf("%q is an address of %q", address, res.Text)
			}
			return "X"
		})
	})
}

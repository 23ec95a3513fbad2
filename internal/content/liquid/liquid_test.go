// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package liquid

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kaeru-dev/kaeru/internal/money"
)

var tokyo = func() *time.Location {
	loc, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		panic(err)
	}
	return loc
}()

var limits = Limits{Output: 64 << 10, Steps: 10_000}

func testEnv() *Env {
	return &Env{
		Vars: map[string]any{
			"customer": map[string]any{
				"first_name": "花子", "last_name": "山田", "nickname": "<b>&\"'", "age": 34.0, "tags": []any{"a", "b"},
				"points": "1200", "empty": "", "nothing": nil, "birthday": "1990-11-23", "nested": map[string]any{"x": 1.5},
				"lines": "one\ntwo<", "spent": 39745 * money.Unit,
			},
			"entry":  map[string]any{"product": "Cream", "at": "2026-11-22T15:30:00Z"},
			"coupon": map[string]any{"code": "KAERU15", "expires_at": time.Date(2026, 11, 29, 15, 0, 0, 0, time.UTC)},
			"recommendations": []map[string]any{
				{"id": "p1", "name": "Soap", "price": 1200.0, "url": "https://shop.example/p1?a=1&b=2"},
				{"id": "p2", "name": "Tea", "price": 800.0},
			},
			"shop":  map[string]any{"name": "Kaeru Shop", "url": "https://shop.example"},
			"links": map[string]any{"unsubscribe": "https://k.example/u/t"},
		},
		Location: tokyo,
		Currency: "JPY",
		Link:     func(address string, index int) string { return "L" + string(rune('0'+index)) + "(" + address + ")" },
		Pixel:    func() string { return "<img>" },
	}
}

func render(t *testing.T, source string, o Options) (Result, error) {
	t.Helper()
	o.Limits = limits
	tpl, err := Compile(source, o)
	if err != nil {
		t.Fatalf("compiling %q: %v", source, err)
	}
	return tpl.Render(context.Background(), testEnv())
}

func TestRender(t *testing.T) {
	tests := map[string]struct{ source, want string }{
		"text":                       {"こんにちは", "こんにちは"},
		"a value":                    {"{{ customer.first_name }}さん", "花子さん"},
		"a number without exponent":  {"{{ customer.age }}", "34"},
		"an amount":                  {"{{ customer.spent }} {{ customer.spent | yen }}", "39745 ¥39,745"},
		"a default":                  {"{{ customer.gender | default: 'お客' | sama }}", "お客様"},
		"an empty value's default":   {"{{ customer.empty | default: 'x' }}", "x"},
		"a default from another":     {"{{ customer.nick | default: customer.last_name }}", "山田"},
		"a nested value":             {"{{ customer.nested.x }}", "1.5"},
		"an index":                   {`{{ customer["first_name"] }}{{ customer.tags[1] }}{{ customer.tags.first }}{{ customer.tags.size }}`, "花子ba2"},
		"a list":                     {"{{ customer.tags }} {{ customer.tags | join: ',' }}", "ab a,b"},
		"if":                         {"{% if customer.age >= 30 and customer.gender == nil %}a{% elsif true %}b{% else %}c{% endif %}", "a"},
		"elsif":                      {"{% if customer.vip %}a{% elsif customer.age == 34 %}b{% else %}c{% endif %}", "b"},
		"unless":                     {"{% unless customer.vip %}a{% else %}b{% endunless %}", "a"},
		"contains":                   {"{% if customer.tags contains 'b' %}y{% endif %}", "y"},
		"case":                       {"{% case customer.first_name %} {% when '太郎', '次郎' %}m{% when '花子' or '桜' %}f{% else %}?{% endcase %}", "f"},
		"case else":                  {"{% case customer.vip %}{% when 1 %}a{% else %}b{% endcase %}", "b"},
		"for":                        {"{% for p in recommendations %}{{ forloop.index }}{{ p.name }}{% unless forloop.last %},{% endunless %}{% endfor %}", "1Soap,2Tea"},
		"for else":                   {"{% for p in customer.none %}x{% else %}none{% endfor %}", "none"},
		"for with all":               {"{% for i in (1..9) reversed limit:3 offset:2 %}{{ i }}{% endfor %}", "543"},
		"for limit":                  {"{% for p in recommendations limit: 1 %}{{ p.price | yen }}{% endfor %}", "¥1,200"},
		"break and continue":         {"{% for i in (1..9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i > 3 %}{% break %}{% endif %}{{ i }}{% endfor %}", "13"},
		"the outer loop's state":     {"{% for i in (1..2) %}{% for j in (1..2) %}{{ j }}{% endfor %}{{ forloop.index }}{% endfor %}", "121122"},
		"a map in the keys' order":   {"{% for kv in customer.nested %}{{ kv[0] }}={{ kv[1] }}{% endfor %}", "x=1.5"},
		"assign":                     {"{% assign n = customer.points | plus: 5 %}{{ n }}", "1205"},
		"capture":                    {"{% capture x %}a{{ customer.age }}{% endcapture %}{{ x }}{{ x }}", "a34a34"},
		"cycle":                      {"{% for i in (1..3) %}{% cycle 'a', 'b' %}{% endfor %}", "aba"},
		"comment":                    {"a{% comment %}{{ nonsense | x }}{% if %}{% endcomment %}b", "ab"},
		"raw":                        {"{% raw %}{{ x }}{% if %}{% endraw %}", "{{ x }}{% if %}"},
		"white space":                {"a  {{- customer.age -}}  b {%- if true -%} c {%- endif -%} d", "a34bcd"},
		"a comparison":               {"{{ customer.age > 3 }}", "true"},
		"money":                      {"{{ 1234.5 | money }} {{ 1234.5 | money: 'USD' }} {{ -1234567 | yen }} {{ '1.005' | money: 'EUR' }}", "¥1,235 $1,234.50 -¥1,234,567 €1.01"},
		"a currency without a sign":  {"{{ 5 | money: 'CHF' }}", "5.00 CHF"},
		"dates in the shop's zone":   {"{{ entry.at | date_ja }} {{ coupon.expires_at | date_ja: 'full' }} {{ customer.birthday | date: '%m/%d' }}", "11月23日(月) 2026年11月30日(月) 11/23"},
		"dates of an era":            {"{{ coupon.expires_at | date_ja: 'era' }} {{ '2019-05-01' | date_ja: 'era' }} {{ '2019-04-30' | date_ja: 'era' }} {{ '1989-01-07' | date_ja: 'era' }} {{ '1912-07-30' | date_ja: 'era' }} {{ '1873-01-01' | date_ja: 'era' }}", "令和8年11月30日(月) 令和元年5月1日(水) 平成31年4月30日(火) 昭和64年1月7日(土) 大正元年7月30日(火) 明治6年1月1日(水)"},
		"a time in the shop's zone":  {"{{ entry.at | date_ja: 'time' }} {{ coupon.expires_at }}", "11月23日(月)0:30 2026-11-30 00:00"},
		"honorifics":                 {"{{ customer.last_name | san }} {{ '鈴木様' | sama }}", "山田さん 鈴木様"},
		"arithmetic":                 {"{{ 1000 | times: 1.1 }} {{ 7 | divided_by: 2 }} {{ 7 | divided_by: 2.0 }} {{ 7.5 | divided_by: 2 }} {{ 2.345 | round: 2 }}", "1100 3 3 3.75 2.35"},
		"slices":                     {"{{ 'abc' | slice: 9,3 }}{{ 'あいう' | slice: 1, 5 }}{{ 'abc' | slice: -2 }}", "いうb"},
		"truncate":                   {"{{ 'あいうえお' | truncate: 4, '…' }} {{ 'a b c d' | truncatewords: 2 }} {{ 'ab' | truncate: 100000 }}", "あいう… a b... ab"},
		"sort and map":               {"{{ recommendations | sort: 'price' | map: 'name' | join: ' ' }}", "Tea Soap"},
		"json":                       {"{{ customer.tags | json }}", `["a","b"]`},
		"as text it is not escaped":  {"{{ customer.nickname }}", `<b>&"'`},
		"raw means nothing in text":  {"{{ customer.nickname | raw }}", `<b>&"'`},
		"an absent value in if":      {"{% if customer.gender %}x{% endif %}.", "."},
		"an absent value assigned":   {"{% assign g = customer.gender %}{% if g %}x{% endif %}.", "."},
		"parentheses":                {"{% if customer.vip or (customer.age > 3 and customer.points) %}y{% endif %}", "y"},
		"a date that is not one, if": {"{{ customer.seen | default: '2026-11-23' | date_ja }}", "11月23日(月)"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := render(t, tc.source, Options{})
			if err != nil || got.Text != tc.want {
				t.Errorf("got %q, %v, want %q", got.Text, err, tc.want)
			}
		})
	}
}

func TestRenderMarkup(t *testing.T) {
	tests := map[string]struct{ source, want string }{
		"escaped":                       {"{{ customer.nickname }}", "&lt;b&gt;&amp;&#34;&#39;"},
		"escaped once":                  {"{{ customer.nickname | escape }}", "&lt;b&gt;&amp;&#34;&#39;"},
		"raw":                           {"{{ customer.nickname | raw }}", `<b>&"'`},
		"lines":                         {"{{ customer.lines | newline_to_br }}", "one<br />\ntwo&lt;"},
		"captured markup stays":         {"{% capture x %}<i>{{ customer.nickname }}</i>{% endcapture %}{{ x }}", "<i>&lt;b&gt;&amp;&#34;&#39;</i>"},
		"a filter's result is escaped":  {"{% capture x %}<i>{% endcapture %}{{ x | append: '<' }}", "&lt;i&gt;&lt;"},
		"assigned anew, it is escaped":  {"{% capture x %}<i>{% endcapture %}{% assign x = customer.nickname %}{{ x }}", "&lt;b&gt;&amp;&#34;&#39;"},
		"a link":                        {LinkStart + "https://a.example/?x=1&amp;y={{ customer.first_name }}" + LinkEnd, "L0(https://a.example/?x=1&amp;y=%E8%8A%B1%E5%AD%90)"},
		"a link from a value":           {"{% for p in recommendations limit:1 %}" + LinkStart + "{{ p.url }}" + LinkEnd + "{% endfor %}", "L0(https://shop.example/p1?a=1&amp;b=2)"},
		"a link's value cannot get out": {LinkStart + "https://a.example/{{ customer.nickname }}" + LinkEnd, "L0(https://a.example/%3Cb%3E&amp;%22%27)"},
		"encoded once":                  {LinkStart + "https://a.example/{{ customer.first_name | url_encode }}" + LinkEnd, "L0(https://a.example/%E8%8A%B1%E5%AD%90)"},
		"if in a link":                  {LinkStart + "https://a.example/{% if customer.age > 3 %}a&amp;b{% endif %}" + LinkEnd, "L0(https://a.example/a&amp;b)"},
		"two links, and the pixel":      {LinkStart + "a" + LinkEnd + LinkStart + "b" + LinkEnd + PixelMark, "L0(a)L1(b)<img>"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := render(t, tc.source, Options{Escape: true, Marks: true})
			if err != nil || got.Text != tc.want {
				t.Errorf("got %q, %v, want %q", got.Text, err, tc.want)
			}
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	tests := map[string]struct {
		source, want string
		line         int
	}{
		"an unknown filter":        {"a\n{{ customer.x | shout }}", "unknown filter shout", 2},
		"an unknown variable":      {"{{ custmer.first_name }}", "unknown variable custmer: templates know coupon, customer", 1},
		"an unknown variable, if":  {"\n\n{% if order.total > 3 %}{% endif %}", "unknown variable order", 3},
		"as a filter's argument":   {"{{ customer.x | default: name }}", "unknown variable name", 1},
		"an unknown field":         {"{{ shop.nam }}", "shop has no nam: it has currency", 1},
		"a coupon's unknown field": {"{{ coupon.codes }}", "coupon has no codes", 1},
		"a product's":              {"{% for p in recommendations %}\n{{ p.title }}{% endfor %}", "p has no title: it has category", 2},
		"the first product's":      {"{{ recommendations.first.title }}", "first has no title", 1},
		"after its loop":           {"{% for p in recommendations %}{% endfor %}{{ p.name }}", "unknown variable p", 1},
		"forloop outside":          {"{{ forloop.index }}", "forloop is known inside of for only", 1},
		"empty":                    {"{% if customer.x == empty %}{% endif %}", "compare with nil", 1},
		"an unknown tag":           {"{% tablerow x in y %}{% endtablerow %}", "unknown tag tablerow", 1},
		"include":                  {"{% include '../../../../etc/hostname' %}", "reads no other file", 1},
		"render":                   {"{% render 'x' %}", "reads no other file", 1},
		"if that is not closed":    {"a\n{% if true %}b", "if is not closed", 2},
		"for that is not closed":   {"{% for p in recommendations %}", "for is not closed", 1},
		"endif alone":              {"a{% endif %}", "endif has no tag", 1},
		"crossed":                  {"{% if true %}{% for p in recommendations %}{% endif %}{% endfor %}", "endif has no tag", 1},
		"else twice":               {"{% if true %}{% else %}{% else %}{% endif %}", "else comes after else", 1},
		"an open output":           {"a\n{{ customer.x ", "begins with {{ is not closed", 2},
		"an open tag":              {"{% if x", "begins with {% is not closed", 1},
		"an open comment":          {"{% comment %}", "not closed", 1},
		"an open string":           {"{{ 'a }}", "a string is not closed", 1},
		"an empty if":              {"{% if %}{% endif %}", "empty", 1},
		"two words":                {"{{ customer.x customer.y }}", "syntax error", 1},
		"a statement":              {"{{ a; b }}", "is not understood", 1},
		"the library's selector":   {"{{ %assign x = 1 }}", "is not understood", 1},
		"a huge number":            {"{{ 99999999999999999999 }}", "too long", 1},
		"a range outside of for":   {"{% assign x = (1..999999999) %}", "in for only", 1},
		"a range with a filter":    {"{% for i in (1..999999999) | reverse %}{% endfor %}", "takes no filters", 1},
		"too few arguments":        {"{{ customer.x | append }}", "needs 1 more", 1},
		"too many arguments":       {"{{ customer.x | upcase: 1 }}", "takes 0 argument(s), not 1", 1},
		"raw in the middle":        {"{{ customer.x | raw | upcase }}", "raw must be the last", 1},
		"break outside":            {"{% break %}", "outside of for", 1},
		"hiding the data":          {"{% assign customer = 1 %}", "choose another name", 1},
		"a loop that hides":        {"{% for shop in recommendations %}{% endfor %}", "choose another name", 1},
		"assign without a name":    {"{% assign %}", "assign is written", 1},
		"for without in":           {"{% for p recommendations %}{% endfor %}", "for is written", 1},
		"a mark":                   {"a\n" + LinkStart, "is not text", 2},
		"too deep":                 {strings.Repeat("{% if true %}", 99) + strings.Repeat("{% endif %}", 99), "nested more than", 1},
		"too many filters":         {"{{ 'a'" + strings.Repeat(" | upcase", 21) + " }}", "more than 20 filters", 1},
		"text before when":         {"{% case 1 %}x{% when 1 %}{% endcase %}", "followed by when", 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Compile(tc.source, Options{Limits: limits})
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(e.Message, tc.want) || e.Line != tc.line {
				t.Errorf("got %v, want line %d: …%s…", err, tc.line, tc.want)
			}
		})
	}
	for name, source := range map[string]string{
		"a link that crosses if": "{% if true %}" + LinkStart + "a{% endif %}" + LinkEnd,
		"a link left open":       LinkStart + "a",
		"a link in a link":       LinkStart + LinkStart + LinkEnd + LinkEnd,
	} {
		if _, err := Compile(source, Options{Marks: true, Limits: limits}); err == nil || !strings.Contains(err.Error(), "an address must") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMissing(t *testing.T) {
	tests := map[string]struct{ source, want string }{
		"an attribute":              {"{{ customer.gender }}", "customer.gender"},
		"one that is null":          {"{{ customer.nothing }}", "customer.nothing"},
		"one with a filter":         {"{{ customer.gender | append: '様' }}", "customer.gender"},
		"a filter's argument":       {"{{ 'a' | append: customer.gender }}", "customer.gender"},
		"a nested one":              {"{{ customer.address.city }}", "customer.address.city"},
		"assigned through a filter": {"{% assign x = customer.gender | append: '様' %}", "customer.gender"},
		"assigned and put out":      {"{% assign x = customer.gender %}{{ x }}", "x"},
		"a product's":               {"{% for p in recommendations %}{{ p.url }}{% endfor %}", "p.url"},
		"no coupon":                 {"{{ coupon.pool }}", "coupon.pool"},
		"beyond the list":           {"{{ customer.tags[7] }}", "customer.tags[7]"},
		"a default that is missing": {"{{ customer.gender | default: customer.sex }}", "customer.gender | default: customer.sex"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := render(t, tc.source, Options{})
			var missing *MissingError
			if !errors.As(err, &missing) || missing.Path != tc.want {
				t.Errorf("got %q, %v, want %s missing", got.Text, err, tc.want)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	double := strings.Repeat("{% assign s = s | append: s %}", 64)
	long := "{% assign s = '0123456789abcdef' %}" + strings.Repeat("{% assign s = s | append: s %}", 11) // 32 KiB
	words := "{% assign s = 'a b c d e f g h i j k l m n o p' %}" + strings.Repeat("{% assign s = s | append: ' ' | append: s %}", 5) + "{% assign l = s | split: ' ' %}"
	tests := map[string]string{
		"work on a long text":      long + "{% for i in (1..4000) %}{% assign n = s | upcase | strip_html | replace: 'a', 'b' | size %}{% endfor %}",
		"a long text in a chain":   "{% capture customer_s %}{% endcapture %}" + long + "{% for i in (1..4000) %}{% assign n = s | upcase | downcase %}{% endfor %}",
		"a search in a long text":  long + "{% for i in (1..4000) %}{% if s contains 'x' %}{% endif %}{% endfor %}",
		"a long list without end":  words + "{% for i in (1..4000) %}{% assign n = l | uniq | size %}{% endfor %}",
		"sorting a long list":      words + "{% for i in (1..4000) %}{% assign n = l | sort | reverse | size %}{% endfor %}",
		"growing for a while":      "{% for i in (1..4000) %}{% assign n = 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' | replace: '', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb' | replace: 'b', 'ccccccccccccccccccccccccccccccc' | upcase | size %}{% endfor %}",
		"a long loop":              "{% for i in (1..100000000) %}{% endfor %}",
		"a range beyond int":       "{% for i in (-90000000000000000..900000000000000000) %}{% endfor %}",
		"nested loops":             "{% for i in (1..999) %}{% for j in (1..999) %}{% endfor %}{% endfor %}",
		"doubling a text":          "{% assign s = 'ab' %}" + double,
		"doubling by replace":      "{% assign s = 'aa' %}" + strings.Repeat("{% assign s = s | replace: 'a', 'aa' %}", 64),
		"doubling by capture":      "{% assign s = 'ab' %}" + strings.Repeat("{% capture s %}{{ s }}{{ s }}{% endcapture %}", 64),
		"doubling by json":         "{% assign s = '\\' %}" + strings.Repeat("{% assign s = s | json %}", 64),
		"doubling a list":          "{% assign s = 'a b' | split: ' ' %}" + strings.Repeat("{% assign s = s | concat: s %}", 64),
		"a wide date":              "{{ customer.birthday | date: '%999999999d' }}",
		"much output":              "{% for i in (1..9999) %}0123456789{% endfor %}",
		"a divisor of zero":        "{{ 1 | divided_by: 0 }}",
		"a map put out":            "{{ customer.nested }}",
		"what is not a number":     "{{ customer.first_name | yen }}",
		"what is not a date":       "{{ customer.first_name | date_ja }}",
		"what is not a limit":      "{% for i in (1..3) limit: customer.first_name %}{% endfor %}",
		"what is not a range's":    "{% for i in (1..customer.first_name) %}{% endfor %}",
		"a template's own forloop": "{% for i in (1..3) %}{{ forloop }}{% endfor %}",
	}
	for name, source := range tests {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			got, err := render(t, source, Options{})
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %d bytes, %v, want an error", len(got.Text), err)
			}
			if strings.Contains(err.Error(), "花子") {
				t.Errorf("the error tells of the customer: %v", err)
			}
			// Alone it is under a second; without the bounds it would be minutes.
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestContextEndsARender(t *testing.T) {
	tpl, err := Compile("{% for i in (1..5000) %}{% endfor %}", Options{Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := tpl.Render(ctx, testEnv()); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestUntrusted(t *testing.T) {
	source := "{{ shop.url }}/a {{ customer.first_name }} {% for p in recommendations limit:1 %}{{ p.url }}{% endfor %}" +
		"{% assign u = shop.url %}{{ u }}{% assign n = customer.age %} {{ n }}{% capture c %}{{ customer.age }}{% endcapture %}{{ c }}"
	got, err := render(t, source, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, s := range got.Untrusted {
		parts = append(parts, got.Text[s.Start:s.End])
	}
	if strings.Join(parts, "|") != "花子|34|34" {
		t.Errorf("untrusted are %q of %q", parts, got.Text)
	}
}

func TestUsesAndStatic(t *testing.T) {
	tpl, err := Compile("{{ links.unsubscribe }}", Options{Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	if !tpl.Uses("links") || !tpl.Uses("links.unsubscribe") || tpl.Uses("links.preferences") || tpl.Static() {
		t.Errorf("uses %v, static %t", tpl.used, tpl.Static())
	}
	if tpl, _ := Compile("plain", Options{Limits: limits}); !tpl.Static() {
		t.Error("a text without tags is not static")
	}
}

func TestConcurrentRenders(t *testing.T) {
	tpl, err := Compile("{% assign x = customer.age | plus: 1 %}{{ x }}{% for p in recommendations %}{{ p.name | upcase }}{% endfor %}", Options{Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	env := testEnv()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if got, err := tpl.Render(context.Background(), env); err != nil || got.Text != "35SOAPTEA" {
					t.Errorf("got %q, %v", got.Text, err)
				}
			}
		})
	}
	wg.Wait()
}

func FuzzRender(f *testing.F) {
	for _, s := range []string{
		"{{ customer.first_name | default: 'x' }}", "{% for p in recommendations %}{{ p.name }}{% endfor %}",
		"{% case customer.age %}{% when 1, 2 %}{% endcase %}", "{{ 'abc' | slice: 9,3 | truncate: -1 }}",
		"{% for i in (1..3) reversed limit:1 %}{% cycle 'a', 'b' %}{% endfor %}", "{%- raw -%}{{{%- endraw -%}",
		"{{ customer.tags | sort | reverse | uniq | map: 'x' | join }}", "{{ customer.birthday | date: '%-d%^a%%' }}",
		"{{ customer.tags[customer.age] }}{{ customer[customer.age] }}", "{{ (1 == 2) | append: 'x' }}",
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, source string, escape bool) {
		tpl, err := Compile(source, Options{Escape: escape, Limits: limits})
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Line < 1 || e.Line > 1+strings.Count(source, "\n") {
				t.Fatalf("%q: error %v", source, err)
			}
			return
		}
		got, err := tpl.Render(context.Background(), testEnv())
		if err != nil {
			var e *Error
			var missing *MissingError
			if !errors.As(err, &e) && !errors.As(err, &missing) {
				t.Fatalf("%q: error %v", source, err)
			}
		}
		if len(got.Text) > limits.Output {
			t.Errorf("%q makes %d bytes", source, len(got.Text))
		}
	})
}

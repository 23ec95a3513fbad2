// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package content

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestCountSMS(t *testing.T) {
	r := strings.Repeat
	tests := map[string]struct {
		text string
		want SMSCount
	}{
		"nothing":                      {"", SMSCount{GSM7, 0, 0}},
		"a word":                       {"hello", SMSCount{GSM7, 5, 1}},
		"one full part":                {r("a", 160), SMSCount{GSM7, 160, 1}},
		"one more":                     {r("a", 161), SMSCount{GSM7, 161, 2}},
		"two full parts":               {r("a", 306), SMSCount{GSM7, 306, 2}},
		"one more than two":            {r("a", 307), SMSCount{GSM7, 307, 3}},
		"the euro takes two":           {r("€", 80), SMSCount{GSM7, 160, 1}},
		"all of the second table":      {"^{}\\[]~|€", SMSCount{GSM7, 18, 1}},
		"an escape is not split":       {r("a", 152) + "€" + r("a", 152), SMSCount{GSM7, 306, 3}},
		"letters of the alphabet":      {"ÄÖÜß£¥èΔ@", SMSCount{GSM7, 9, 1}},
		"a letter that is not":         {"ç", SMSCount{UCS2, 1, 1}},
		"Japanese":                     {r("あ", 70), SMSCount{UCS2, 70, 1}},
		"one more in Japanese":         {r("あ", 71), SMSCount{UCS2, 71, 2}},
		"two full parts in Japanese":   {r("あ", 134), SMSCount{UCS2, 134, 2}},
		"three in Japanese":            {r("あ", 135), SMSCount{UCS2, 135, 3}},
		"an emoji takes two":           {r("🐸", 35), SMSCount{UCS2, 70, 1}},
		"an emoji is not split":        {r("あ", 66) + "🐸" + r("あ", 65), SMSCount{UCS2, 133, 2}},
		"an emoji at the second split": {r("あ", 66) + "🐸" + r("あ", 66), SMSCount{UCS2, 134, 3}},
		"one mark makes it all UCS-2":  {r("a", 70) + "’", SMSCount{UCS2, 71, 2}},
		"not UTF-8":                    {"\xff", SMSCount{UCS2, 1, 1}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := CountSMS(tc.text); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestRenderSMS(t *testing.T) {
	tests := map[string]struct {
		source string
		want   string // with each short link as <kind target>
	}{
		"a text":                       {"{{ coupon.code }} は明日まで", "KAERU15 は明日まで"},
		"a link":                       {"見る https://shop.example/sale?a=1。", "見る <l https://shop.example/sale?a=1>。"},
		"a link with a value":          {"https://shop.example/{{ coupon.code }}/x です", "<l https://shop.example/KAERU15/x> です"},
		"a product's link":             {"{{ recommendations[0].url }}", "<l https://shop.example/p1?a=1&b=2>"},
		"the shop's":                   {"{{ shop.url }}/sale, bye", "<l https://shop.example/sale>, bye"},
		"unsubscribing is not a click": {"停止 {{ links.unsubscribe }}", "停止 <u U>"},
		"a customer's host stays":      {"https://{{ customer.host }}/a https://shop.example{{ customer.tail }}", "https://evil.example/a https://shop.example.evil.example/a"},
		"a customer's path is ours":    {"https://shop.example/{{ customer.host }}", "<l https://shop.example/evil.example>"},
		"a customer's link stays":      {"{{ customer.site }} https://shop.example", "https://evil.example/me <l https://shop.example>"},
		"the same link twice":          {"https://a.example https://a.example", "<l https://a.example> <l https://a.example>"},
		"in brackets":                  {"(https://a.example/x(y)) [https://b.example]", "(<l https://a.example/x(y)>) [<l https://b.example>]"},
		"no link at all":               {"http and https:// and httpd", "http and https:// and httpd"},
	}
	links := testLinks(t)
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			sms, err := testCompile.CompileSMS(tc.source)
			if err != nil {
				t.Fatal(err)
			}
			got, err := sms.Render(context.Background(), testData(t), links)
			if err != nil {
				t.Fatal(err)
			}
			shown := got.Body
			codes := map[string]bool{}
			for _, row := range got.Short {
				address := "https://k.example/s/" + row.Code
				if len(address) > 30+len("https://k.example") || codes[row.Code] {
					t.Errorf("short links %v", got.Short)
				}
				codes[row.Code] = true
				target := row.URL
				if row.Kind == Unsubscribe {
					c, err := links.Signer.Verify(Unsubscribe, strings.TrimPrefix(target, "https://k.example/u/"))
					if err != nil || c.Message != testMessage || c.Namespace != "shop" {
						t.Errorf("unsubscribing leads to %s: %v", target, err)
					}
					target = "U"
				}
				shown = strings.ReplaceAll(shown, address, "<"+string(row.Kind)+" "+target+">")
			}
			if shown != tc.want || got.Count != CountSMS(got.Body) {
				t.Errorf("got %s, %+v, want %s", shown, got.Count, tc.want)
			}
			again, err := sms.Render(context.Background(), testData(t), links)
			if err != nil || again.Body != got.Body {
				t.Errorf("rendered again it is %q, %v", again.Body, err)
			}
		})
	}
}

func TestSMSErrors(t *testing.T) {
	_, err := testCompile.CompileSMS("a\n{{ customer.x | shout }}")
	wantError(t, err, "text", 2, "unknown filter shout")
	_, err = testCompile.CompileSMS(" ")
	wantError(t, err, "text", 0, "needs a text")

	sms, err := testCompile.CompileSMS("{% if customer.none %}x{% endif %} ")
	if err != nil {
		t.Fatal(err)
	}
	_, err = sms.Render(context.Background(), testData(t), testLinks(t))
	wantError(t, err, "text", 0, "empty for this customer")

	sms, err = testCompile.CompileSMS("{{ customer.none }}")
	if err != nil {
		t.Fatal(err)
	}
	_, err = sms.Render(context.Background(), testData(t), testLinks(t))
	var missing *MissingValueError
	if !errors.As(err, &missing) || missing.Path != "customer.none" || missing.Field != "text" {
		t.Errorf("got %v, want customer.none missing", err)
	}
}

func TestWithoutASigner(t *testing.T) {
	sms, err := testCompile.CompileSMS("https://a.example")
	if err != nil {
		t.Fatal(err)
	}
	got, err := sms.Render(context.Background(), testData(t), Links{Clicks: true, Opens: true})
	if err != nil || got.Body != "https://a.example" || got.Short != nil {
		t.Errorf("got %+v, %v", got, err)
	}
}

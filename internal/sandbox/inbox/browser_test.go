// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package inbox

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kaeru-dev/kaeru/internal/sandbox/record"
	"github.com/kaeru-dev/kaeru/internal/testenv/chromium"
)

// TestInboxInABrowser looks at the inbox as developers do, on a desktop and on a phone.
func TestInboxInABrowser(t *testing.T) {
	const flex = `[{"type":"text","text":"花子さま、こんにちは。"},{"type":"flex","altText":"新茶のご案内","contents":{"type":"bubble",
		"hero":{"type":"image","url":"https://shop.example/tea.jpg","size":"full","aspectRatio":"20:13"},
		"body":{"type":"box","layout":"vertical","contents":[{"type":"text","text":"新茶","weight":"bold","size":"xl"},{"type":"text","text":"1,200円","color":"#666666"}]},
		"footer":{"type":"box","layout":"vertical","contents":[{"type":"button","style":"primary","action":{"type":"uri","label":"見る","uri":"https://shop.example/tea"}}]}}},
		{"type":"template","altText":"選ぶ","template":{"type":"buttons","text":"どちらにしますか","actions":[{"type":"message","label":"緑茶","text":"緑茶"},{"type":"uri","label":"店へ","uri":"https://shop.example"}]}},
		{"type":"sticker","packageId":"446","stickerId":"1988"}]`
	failed := smsOf("+819000000002", "届かないSMS")
	failed.Status = record.Undelivered
	blocked := lineMessageOf("U2", `[{"type":"text","text":"x"}]`)
	blocked.Status = "blocked"
	twice := smsOf("+819000000001", "また")
	twice.Key = "SM1"
	server := httptest.NewServer(page(t,
		lineMessageOf("U1", flex), mailOf("hanako@example.com", "=?utf-8?B?5paw6Iy2?=", `<html lang="ja"><body><h1>新茶</h1><p>入荷しました。<a href="https://shop.example">店へ</a></p></body></html>`),
		smsOf("+819000000001", "新茶が入荷しました https://shop.example/s/abc"), failed, blocked, twice))
	t.Cleanup(server.Close)
	empty := httptest.NewServer(page(t))
	t.Cleanup(empty.Close)
	looking := chromium.Start(t)
	dark := chromium.Desktop
	dark.Dark = true
	for name, screen := range map[string]chromium.Screen{"phone": chromium.Phone, "desktop": chromium.Desktop, "dark": dark} {
		t.Run(name, func(t *testing.T) {
			p := looking.Page(t, screen, "en", true)
			for what, want := range map[string]string{
				"/": "Sandbox inbox", "/?m=1": "新茶", "/?m=2": "新茶", "/?m=2&view=text": "", "/?m=2&view=headers": "List-Unsubscribe", "/?m=3": "shop.example/s/abc",
				"/?m=4": "did not reach", "/?m=5": "has blocked", "/?m=6": "また", "/?q=nothing": "No message fits", "/?m=99": "is gone",
			} {
				p.Open(server.URL + what)
				if got := p.Text("body"); !strings.Contains(got, want) {
					t.Errorf("%s does not say %q: %s", what, want, got)
				}
				p.Screenshot("inbox-" + strings.NewReplacer("/", "", "?", "", "=", "", "&", "-").Replace(what) + "-" + name)
				p.Accessible(what)
			}
			p.Open(empty.URL)
			p.Screenshot("inbox-empty-" + name)
			p.Accessible("the empty inbox")
		})
	}
}

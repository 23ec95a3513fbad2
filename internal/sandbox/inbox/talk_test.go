// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package inbox

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func draw(t *testing.T, objects string) string {
	t.Helper()
	var out bytes.Buffer
	for _, n := range talk(json.RawMessage(objects)) {
		if err := pages.ExecuteTemplate(&out, "node", n); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func TestTalk(t *testing.T) {
	box := func(layout, contents string) string {
		return `[{"type":"flex","altText":"a","contents":{"type":"bubble","size":"kilo","body":{"type":"box","layout":"` + layout + `","spacing":"md","contents":[` + contents + `]}}}]`
	}
	tests := map[string]struct {
		objects string
		want    []string
	}{
		"text":           {`[{"type":"text","text":"見て https://a.example/x ね"}]`, []string{`href="https://a.example/x"`, "見て", "ね"}},
		"own emoji":      {`[{"type":"text","text":"$ $5","emojis":[{"index":0}]}]`, []string{"☺ $5"}},
		"substitution":   {`[{"type":"textV2","text":"{who}さん {x}","substitution":{"who":{"type":"mention"}}}]`, []string{"@…さん {x}"}},
		"sticker":        {`[{"type":"sticker","packageId":"446","stickerId":"1988"}]`, []string{"446 / 1988"}},
		"image":          {`[{"type":"image","originalContentUrl":"https://a/o.png","previewImageUrl":"https://a/p.png"}]`, []string{`href="https://a/o.png"`, `src="https://a/p.png"`}},
		"imagemap":       {`[{"type":"imagemap","baseUrl":"https://a/m","altText":"sale","baseSize":{"width":1040,"height":520},"actions":[{"type":"uri","linkUri":"https://a/s","area":{"x":520,"y":0,"width":520,"height":260}}]}]`, []string{`src="https://a/m/1040"`, "aspect-ratio:1040/520", "left:50.00%;top:0.00%;width:50.00%;height:50.00%"}},
		"bubble's width": {box("vertical", ""), []string{"width:260px"}},
		"text's look":    {box("vertical", `{"type":"text","text":"x","size":"xl","weight":"bold","color":"#aabbcc","align":"center"}`), []string{"font-size:22px", "font-weight:700", "color:#aabbcc", "text-align:center", "one-line"}},
		"wrapped text":   {box("vertical", `{"type":"text","text":"x","wrap":true,"maxLines":2}`), []string{"some-lines", "-webkit-line-clamp:2"}},
		"spans":          {box("vertical", `{"type":"text","contents":[{"type":"span","text":"one","decoration":"underline"}]}`), []string{"text-decoration:underline", "one"}},
		"horizontal":     {box("horizontal", `{"type":"text","text":"a"},{"type":"text","text":"b","flex":3}`), []string{"across", "flex:1;", "flex:3;", "margin-inline-start:8px"}},
		"vertical":       {box("vertical", `{"type":"text","text":"a"},{"type":"text","text":"b","margin":"xxl"}`), []string{"down", "flex:none", "margin-top:20px"}},
		"image in flex":  {box("vertical", `{"type":"image","url":"https://a/i.png","size":"full","aspectRatio":"20:13","aspectMode":"cover"}`), []string{"width:100%", "aspect-ratio:20/13", "cover"}},
		"button":         {box("vertical", `{"type":"button","style":"primary","color":"#112233","action":{"type":"uri","label":"買う","uri":"https://a/buy"}}`), []string{`<a class="flex-button primary tap"`, "background-color:#112233", `href="https://a/buy"`, "買う"}},
		"postback":       {box("vertical", `{"type":"button","action":{"type":"postback","label":"後で","data":"later=1"}}`), []string{`title="Posts back later=1"`, "後で"}},
		"separator":      {box("horizontal", `{"type":"separator","color":"#cccccc"}`), []string{"flex-separator across", "border-color:#cccccc"}},
		"nested":         {box("vertical", `{"type":"box","layout":"baseline","paddingAll":"lg","cornerRadius":"8px","backgroundColor":"#eeeeee","contents":[{"type":"icon","url":"https://a/i.png","size":"sm"}]}`), []string{"across base", "padding:12px", "border-radius:8px", "background-color:#eeeeee", "width:14px"}},
		"buttons":        {`[{"type":"template","altText":"a","template":{"type":"buttons","title":"題","text":"文","thumbnailImageUrl":"https://a/t.png","actions":[{"type":"message","label":"はい","text":"yes"}]}}]`, []string{"題", "文", `src="https://a/t.png"`, "Sends “yes”", "はい"}},
		"image carousel": {`[{"type":"template","altText":"a","template":{"type":"image_carousel","columns":[{"imageUrl":"https://a/1.png","action":{"type":"uri","label":"一","uri":"https://a/1"}}]}}]`, []string{`class="carousel"`, `src="https://a/1.png"`, `href="https://a/1"`, "一"}},
		"quick reply":    {`[{"type":"text","text":"x","quickReply":{"items":[{"type":"action","action":{"type":"message","label":"了解","text":"ok"}}]}}]`, []string{"quick-reply", "了解"}},
		"unreadable":     {`{`, []string{"cannot be read"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := draw(t, tt.objects)
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("%q is missing in\n%s", want, got)
				}
			}
			if strings.Contains(got, "ZgotmplZ") {
				t.Errorf("a value was filtered: %s", got)
			}
		})
	}
}

func FuzzTalk(f *testing.F) {
	f.Add([]byte(`[{"type":"flex","contents":{"type":"bubble","body":{"type":"box","layout":"horizontal","contents":[{"type":"text","text":"x"}]}}}]`))
	f.Add([]byte(`[{"type":"imagemap","baseSize":{"width":-1},"actions":[{"area":{"x":1e300}}]},{"type":"template"}]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var out bytes.Buffer
		for _, n := range talk(raw) {
			if err := pages.ExecuteTemplate(&out, "node", n); err != nil {
				t.Fatal(err)
			}
		}
		if strings.Contains(out.String(), "<script") {
			t.Error(out.String())
		}
	})
}

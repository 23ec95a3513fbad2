// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package line

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCheckMessages(t *testing.T) {
	flex := func(contents string) string { return `[{"type":"flex","altText":"a","contents":` + contents + `}]` }
	body := func(parts string) string {
		return flex(`{"type":"bubble","body":{"type":"box","layout":"vertical","contents":[` + parts + `]}}`)
	}
	tests := map[string]struct {
		messages string
		want     string // properties that are wrong
	}{
		"text":               {`[{"type":"text","text":"x"}]`, ""},
		"none":               {`[]`, "messages"},
		"six":                {`[1,1,1,1,1,1]`, "messages"},
		"no object":          {`["x",null]`, "messages[0] messages[1]"},
		"no type":            {`[{}]`, "messages[0].type"},
		"unknown type":       {`[{"type":"fax"}]`, "messages[0].type"},
		"empty text":         {`[{"type":"text","text":""}]`, "messages[0].text"},
		"text is a number":   {`[{"type":"text","text":1}]`, "messages[0].text"},
		"long text":          {`[{"type":"text","text":"` + strings.Repeat("蛙", 5001) + `"}]`, "messages[0].text"},
		"emoji count double": {`[{"type":"text","text":"` + strings.Repeat("🐸", 2501) + `"}]`, "messages[0].text"},
		"sticker":            {`[{"type":"sticker","packageId":"1"}]`, "messages[0].stickerId"},
		"http picture":       {`[{"type":"image","originalContentUrl":"http://a.example/x","previewImageUrl":"https://a.example/x"}]`, "messages[0].originalContentUrl"},
		"loopback picture":   {`[{"type":"image","originalContentUrl":"http://127.0.0.1:9/x","previewImageUrl":"http://localhost/x"}]`, ""},
		"not loopback":       {`[{"type":"image","originalContentUrl":"http://127.0.0.1.evil.example/x","previewImageUrl":"https://a"}]`, "messages[0].originalContentUrl"},
		"location":           {`[{"type":"location","title":"t","address":"a","latitude":1,"longitude":"2"}]`, "messages[0].longitude"},
		"imagemap":           {`[{"type":"imagemap","baseUrl":"https://a","altText":"a","baseSize":{"width":1040}}]`, "messages[0].baseSize.height messages[0].actions"},
		"buttons":            {`[{"type":"template","altText":"a","template":{"type":"buttons","text":"x","actions":[{"type":"uri","label":"l"}]}}]`, "messages[0].template.actions[0].uri"},
		"confirm has two":    {`[{"type":"template","altText":"a","template":{"type":"confirm","text":"x","actions":[{"type":"message","label":"l","text":"t"}]}}]`, "messages[0].template.actions"},
		"flex":               {body(`{"type":"text","text":"x"},{"type":"button","action":{"type":"uri","label":"l","uri":"https://a"}}`), ""},
		"flex unknown field": {body(`{"type":"text","text":"x","colour":"#fff"}`), "messages[0].contents.body.contents[0].colour"},
		"flex hero":          {flex(`{"type":"bubble","hero":{"type":"text","text":"x"}}`), "messages[0].contents.hero.type"},
		"flex action":        {body(`{"type":"button","action":{"type":"uri","uri":"javascript:alert(1)","label":"l"}}`), "messages[0].contents.body.contents[0].action.uri"},
		"flex in baseline":   {body(`{"type":"box","layout":"baseline","contents":[{"type":"image","url":"https://a"}]}`), "messages[0].contents.body.contents[0].contents[0].type"},
		"carousel":           {flex(`{"type":"carousel","contents":[]}`), "messages[0].contents.contents"},
		"quick reply":        {`[{"type":"text","text":"x","quickReply":{"items":[{"type":"action"}]}}]`, "messages[0].quickReply.items[0].action"},
		"coupon":             {`[{"type":"coupon"}]`, "messages[0].couponId"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var messages []json.RawMessage
			if err := json.Unmarshal([]byte(tt.messages), &messages); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range CheckMessages(messages) {
				if d.Message == "" {
					t.Errorf("%s is wrong without a reason", d.Property)
				}
				got = append(got, d.Property)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("wrong are %q, want %q", got, tt.want)
			}
		})
	}
}

func FuzzCheckMessages(f *testing.F) {
	f.Add([]byte(`{"type":"flex","altText":"a","contents":{"type":"bubble","body":{"type":"box","layout":"vertical","contents":[{"type":"text"}]}}}`))
	f.Add([]byte(`{"type":"template","template":{"type":"carousel","columns":[{}]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, d := range CheckMessages([]json.RawMessage{raw}) {
			if !strings.HasPrefix(d.Property, "messages[0]") {
				t.Errorf("property %q", d.Property)
			}
		}
	})
}

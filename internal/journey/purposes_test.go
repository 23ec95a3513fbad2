// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadPurposes(t *testing.T) {
	many := ""
	for i := range maxPurposes + 1 {
		many += fmt.Sprintf("- {name: p%d, label: {en: x}}\n", i)
	}
	for name, tt := range map[string]struct {
		text, refused string
		want          []Purpose
	}{
		"none":               {text: " \n"},
		"two":                {text: "- name: news\n  label: {en: News, ja: お知らせ}\n- {name: care-tips, label: {ja: お手入れ}}\n", want: []Purpose{{"news", map[string]string{"en": "News", "ja": "お知らせ"}}, {"care-tips", map[string]string{"ja": "お手入れ"}}}},
		"as JSON":            {text: `[{"name":"news","label":{"en":"News"}}]`, want: []Purpose{{"news", map[string]string{"en": "News"}}}},
		"no list":            {text: "news: News", refused: "purposes is not a list"},
		"a field too many":   {text: "- {name: news, label: {en: News}, optIn: true}", refused: "purposes is not a list"},
		"no name":            {text: "- {label: {en: News}}", refused: `purposes[0].name: "" does not name a purpose`},
		"a name in capitals": {text: "- {name: News, label: {en: News}}", refused: "purposes[0].name: \"News\" does not name a purpose"},
		"twice":              {text: "- {name: a, label: {en: A}}\n- {name: a, label: {en: B}}", refused: "purposes[1].name: a is there twice"},
		"no label":           {text: "- {name: a}", refused: "purposes[0].label: customers need to read what a is"},
		"another language":   {text: "- {name: a, label: {fr: A}}", refused: `purposes[0].label: pages do not speak "fr"`},
		"an empty label":     {text: `- {name: a, label: {en: ""}}`, refused: "purposes[0].label.en: has 0 characters"},
		"too long":           {text: "- {name: a, label: {en: " + strings.Repeat("あ", 101) + "}}", refused: "purposes[0].label.en: has 101 characters"},
		"too many":           {text: many, refused: "purposes lists 21"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadPurposes(tt.text)
			if tt.refused != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.refused) {
					t.Errorf("%v, want %s", err, tt.refused)
				}
				return
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
				t.Error(diff, err)
			}
		})
	}
}

func TestLabelOfAPurpose(t *testing.T) {
	both, japanese := Purpose{"news", map[string]string{"en": "News", "ja": "お知らせ"}}, Purpose{"tips", map[string]string{"ja": "使い方"}}
	for _, tt := range []struct {
		p              Purpose
		language, want string
	}{{both, "en", "News"}, {both, "ja", "お知らせ"}, {japanese, "en", "使い方"}, {Purpose{Name: "x"}, "ja", "x"}} {
		if got := tt.p.LabelIn(tt.language); got != tt.want {
			t.Errorf("%s in %s: %s, want %s", tt.p.Name, tt.language, got, tt.want)
		}
	}
}

func TestAScenariosPurposeIsOneOfTheShops(t *testing.T) {
	shop := Shop{Purposes: []Purpose{{Name: "news"}, {Name: "tips"}}}
	for name, want := range map[string]string{"": "", "news": "", "new": `the shop has no purpose "new": it has news, tips`} {
		err := shop.CheckPurpose(name)
		if got := fmt.Sprint(err); want == "" && err != nil || want != "" && got != want {
			t.Errorf("%q: %s", name, got)
		}
	}
	if err := (Shop{}).CheckPurpose("news"); err == nil || !strings.Contains(err.Error(), "list it under purposes") {
		t.Error(err)
	}
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// Purpose is something that a shop uses customers' addresses for, and that each of them may refuse.
type Purpose struct {
	Name string `json:"name"`
	// Label is what customers read, by language: en, ja.
	Label map[string]string `json:"label"`
}

const (
	maxPurposes = 20
	maxLabel    = 100
)

// LabelIn is what customers read who speak that language, as far as the shop says it.
func (p Purpose) LabelIn(language string) string {
	for _, l := range []string{language, "en", "ja"} {
		if label := p.Label[l]; label != "" {
			return label
		}
	}
	return p.Name
}

// ReadPurposes reads what a shop's ConfigMap says under purposes.
func ReadPurposes(text string) ([]Purpose, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var out []Purpose
	if err := yaml.UnmarshalStrict([]byte(text), &out); err != nil {
		return nil, errors.New(`purposes is not a list: write a line for each, like - {name: news, label: {en: News, ja: お知らせ}}`)
	}
	if len(out) > maxPurposes {
		return nil, fmt.Errorf("purposes lists %d: a page can show %d", len(out), maxPurposes)
	}
	names := map[string]bool{}
	for i, p := range out {
		at := fmt.Sprintf("purposes[%d]", i)
		if err := store.CheckPurpose(p.Name); err != nil {
			return nil, fmt.Errorf("%s.name: %w", at, err)
		}
		if names[p.Name] {
			return nil, fmt.Errorf("%s.name: %s is there twice", at, p.Name)
		}
		names[p.Name] = true
		if len(p.Label) == 0 {
			return nil, fmt.Errorf("%s.label: customers need to read what %s is: write {en: …, ja: …}", at, p.Name)
		}
		for language, label := range p.Label {
			if !slices.Contains([]string{"en", "ja"}, language) {
				return nil, fmt.Errorf("%s.label: pages do not speak %q: write en and ja", at, language)
			}
			if n := utf8.RuneCountInString(label); n == 0 || n > maxLabel {
				return nil, fmt.Errorf("%s.label.%s: has %d characters: write 1 to %d", at, language, n, maxLabel)
			}
		}
	}
	return out, nil
}

// CheckPurpose tells whether a Scenario names a purpose that the shop has.
func (s Shop) CheckPurpose(name string) error {
	if name == "" {
		return nil
	}
	known := make([]string, len(s.Purposes))
	for i, p := range s.Purposes {
		if known[i] = p.Name; p.Name == name {
			return nil
		}
	}
	if len(known) == 0 {
		return fmt.Errorf("the shop has no purpose %q: list it under purposes in the shop's ConfigMap", name)
	}
	return fmt.Errorf("the shop has no purpose %q: it has %s", name, strings.Join(known, ", "))
}

// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience_test

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
)

// TestFlow reads what it wrote back with a YAML parser.
func TestFlow(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := random{rand.New(rand.NewPCG(seed, 0))}
	conditions := []v1alpha1.Condition{
		{Expression: "has(customer.a) && \"b: c\" == 'd' # e\n"},
		{Attribute: &v1alpha1.AttributeCondition{Name: "a", In: []string{"on", "No", "null", "1e3", "0x1f", "12", "30d", "30", "- a", "a: b", "a #b", "<b>&", "", " ", "{", "a, b", "~", "2026-01-01", "東京 駅", "it's", `"`, "\u2028", ".inf", "1:30", "y"}}},
	}
	for range 300 {
		conditions = append(conditions, r.condition())
	}
	for i := range conditions {
		text, err := audience.Flow(&conditions[i])
		if err != nil {
			t.Fatal(err)
		}
		var back v1alpha1.Condition
		if err := yaml.UnmarshalStrict([]byte(text), &back); err != nil || strings.Contains(text, "\n") {
			t.Errorf("seed %d: %s: %v", seed, text, err)
		}
		want, _ := json.Marshal(conditions[i])
		if got, _ := json.Marshal(back); string(got) != string(want) {
			t.Errorf("seed %d: %s is %s, want %s", seed, text, got, want)
		}
	}
	for _, want := range []string{
		"lastOrder: {within: 30d}",
		"orders: {atLeast: 2, where: {category: [tea, 東京 駅], totalAtLeast: 500}}",
		`attribute: {name: rank, notIn: ["20", "true", gold]}`,
	} {
		var c v1alpha1.Condition
		if err := yaml.UnmarshalStrict([]byte(want), &c); err != nil {
			t.Fatal(err)
		}
		if got, err := audience.Flow(&c); err != nil || got != want {
			t.Errorf("%s, %v, want %s", got, err, want)
		}
	}
}

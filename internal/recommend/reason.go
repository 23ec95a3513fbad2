// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package recommend

import "strings"

// words are the reasons in a language. What has a %s in it names a product or a category.
type words struct{ together, togetherUnnamed, category, popular, arrival, refill, viewed string }

var (
	japanese = words{
		together:        "「%s」をお買い上げの方に選ばれています",
		togetherUnnamed: "お買い上げの商品とよく一緒に選ばれています",
		category:        "%sカテゴリで人気です",
		popular:         "人気の商品です",
		arrival:         "新着商品です",
		refill:          "そろそろなくなるころです",
		viewed:          "最近ご覧になった商品です",
	}
	english = words{
		together:        "Bought together with “%s”",
		togetherUnnamed: "Often bought together with what you have",
		category:        "Popular in %s",
		popular:         "Popular with our customers",
		arrival:         "New in our shop",
		refill:          "You may be running out of it",
		viewed:          "You looked at this lately",
	}
)

func wordsOf(language string) words {
	if strings.HasPrefix(strings.ToLower(language), "ja") {
		return japanese
	}
	return english
}

// name puts a name into a reason. Names are the shop's: a %s in one stays.
func name(reason, value string) string { return strings.Replace(reason, "%s", value, 1) }

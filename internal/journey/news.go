// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"fmt"
	"strconv"
	"time"

	crm "github.com/kaeru-dev/kaeru/api/v1alpha1"
	"github.com/kaeru-dev/kaeru/internal/audience"
	"github.com/kaeru-dev/kaeru/internal/store"
)

const (
	// EntryProduct is the product that the news, or an event, are of.
	EntryProduct = "product_id"
	// EntryNews tells one piece of news from another, of the same product too.
	EntryNews = "news_id"
	// EntryProductNow is that product as it is now, not as it was when the customer was let in.
	EntryProductNow = "product"
	// entryProducts are those of an event that is of several.
	entryProducts = "products"
)

// ProductOf is the product that an entry is of: its own, or the first of several; empty where it is of none.
func ProductOf(entry map[string]any) string {
	if id := textOf(entry[EntryProduct]); id != "" {
		return id
	}
	list, ok := entry[entryProducts].([]any)
	if !ok || len(list) == 0 {
		return ""
	}
	first, _ := list[0].(map[string]any)
	return textOf(first[EntryProduct])
}

// News lets in those whom a product's news concern.
type News struct {
	// Interest is what they did with the product, not longer than Within before.
	Interest audience.Interest
	Within   time.Duration
	// Few is how many pieces are few.
	Few int64
}

func compileNews(t *crm.ProductEventTrigger, shop Shop) (*News, error) {
	n := &News{Interest: audience.Interest(t.Audience), Within: t.WithinOrDefault()}
	if t.Name != store.ProductLowStock {
		return n, nil
	}
	const where = "ConfigMap " + crm.ShopConfigMap
	if shop.LowStock == "" {
		return nil, &Error{Path: "spec.trigger.productEvent.name", Message: fmt.Sprintf("Product Low Stock needs to know how many are few: write lowStock into %s", where)}
	}
	few, err := strconv.ParseInt(shop.LowStock, 10, 64)
	if err != nil || few < 1 {
		return nil, &Error{Path: where, Message: fmt.Sprintf("lowStock %q is not a number from 1 on", shop.LowStock)}
	}
	n.Few = few
	return n, nil
}

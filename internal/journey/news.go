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

// EntryProduct is the product that the news are of.
const EntryProduct = "product_id"

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

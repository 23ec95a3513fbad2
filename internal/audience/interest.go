// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package audience

import (
	"fmt"

	"github.com/kaeru-dev/kaeru/internal/store"
)

// Interest is what a customer did with a product.
type Interest string

// The interests, as productEvent names them.
const (
	Favourited Interest = "Favourited"
	Purchased  Interest = "Purchased"
	Viewed     Interest = "Viewed"
	Carted     Interest = "Carted"
)

// SQL selects the customers who showed it in a product, $2 of shop $1, since the moment $3: each once,
// in a column customer_id.
func (i Interest) SQL(d store.Dialect) string {
	event := func(name string) string {
		return fmt.Sprintf("SELECT DISTINCT customer_id FROM events WHERE ns = $1 AND name = '%s' AND %s = $2 AND occurred_at > $3", name, d.ProductOf())
	}
	switch i {
	case Favourited:
		return "SELECT customer_id FROM favourites WHERE ns = $1 AND product_id = $2 AND added_at > $3"
	case Viewed:
		return event("Product Viewed")
	case Carted:
		return event("Product Added")
	default:
		return `SELECT DISTINCT o.customer_id FROM order_items i JOIN orders o ON o.ns = i.ns AND o.id = i.order_id
			WHERE i.ns = $1 AND i.product_id = $2 AND o.counted = 1 AND o.placed_at > $3`
	}
}

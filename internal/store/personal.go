// Copyright The Kaeru Authors.
// SPDX-License-Identifier: Apache-2.0

package store

// What erasing a customer does to the rows of a table.
const (
	fateRemoved       = "removed"
	fatePseudonymised = "pseudonymised"
)

// personal is a table with rows about customers.
type personal struct {
	table string
	// fate is what an erasure does to the rows.
	fate string
	// of holds for the rows of a customer, whose id is $2; empty: customer_id = $2.
	of string
	// clear, of rows that stay, is what they must not hold any more, as the SET of an UPDATE.
	clear string
	// derived rows say nothing that others do not, and are left out of an export.
	derived bool
}

const (
	theirMessages = `ns = $1 AND message_id IN (SELECT id FROM messages WHERE ns = $1 AND customer_id = $2)`
	theirOrders   = `ns = $1 AND order_id IN (SELECT id FROM orders WHERE ns = $1 AND customer_id = $2)`
)

// personalTables are all tables with rows about customers, in the order that an erasure goes through them:
// what is found by other rows comes before these. A test holds them against the schema.
//
// What prevents sending again, and what reports count, stays under a pseudonym: who was let into which
// scenario, and which messages there were. Messages keep their keys, which are hashes.
var personalTables = []personal{
	{table: "enrolments", fate: fatePseudonymised, clear: `facts = NULL, order_id = NULL`},
	{table: "receipts", fate: fatePseudonymised, of: theirMessages, clear: `detail = '{}'`},
	{table: "links", fate: fateRemoved, of: theirMessages},
	{table: "line_replies", fate: fateRemoved, of: theirMessages},
	{table: "messages", fate: fatePseudonymised, clear: `provider_id = NULL`},
	{table: "engagements", fate: fatePseudonymised, derived: true},
	{table: "coupons", fate: fatePseudonymised},
	{table: "order_items", fate: fateRemoved, of: theirOrders},
	{table: "orders", fate: fateRemoved},
	{table: "events", fate: fateRemoved},
	{table: "subscriptions", fate: fateRemoved},
	{table: "arrivals", fate: fateRemoved, derived: true},
	{table: "favourites", fate: fateRemoved, derived: true},
	{table: "replenishments", fate: fateRemoved, derived: true},
	{table: "consents", fate: fateRemoved},
	{table: "purpose_consents", fate: fateRemoved},
	{table: "consent_changes", fate: fateRemoved},
	{table: "follows", fate: fateRemoved, of: `ns = $1 AND state = 'followed' AND line_user_id = (SELECT line_user_id FROM customers WHERE ns = $1 AND id = $2)`},
	{table: "past_memberships", fate: fatePseudonymised},
	// Segments and recommendations count by who comes and goes: they find the pseudonym gone, and these rows go.
	{table: "memberships", fate: fatePseudonymised},
	{table: "metrics", fate: fateRemoved, derived: true},
	{table: "ranked", fate: fatePseudonymised, derived: true},
	{table: "bought", fate: fatePseudonymised, derived: true},
	{table: "touched", fate: fatePseudonymised, derived: true},
	{table: "test_messages", fate: fateRemoved},
	{table: "line_links", fate: fateRemoved},
	{table: "aliases", fate: fateRemoved},
	{table: "customers", fate: fateRemoved, of: `ns = $1 AND id = $2`},
}

// impersonalTables are all others. Of the columns that name customers all the same, suppressions are kept so that
// nobody is written to who does not want it, whoever tells of the address again; fanouts and recommendations hold
// the last customer of a walk while it goes on, as a place in the order of ids.
var impersonalTables = []string{
	"suppressions", "products", "segments", "scenarios", "revisions", "schedules", "slots", "runs", "shards", "keys", "feeds", "cuts",
	"tracking", "tracked", "cycles", "rankings", "listeners", "fanouts", "verdicts", "recommendations", "pairs", "product_sales", "erasures", "line_units",
	"channel_rates", "channel_pauses",
	"schema_versions", "schema_lock",
}

func (p *personal) rows() string {
	if p.of != "" {
		return p.of
	}
	return `ns = $1 AND customer_id = $2`
}

-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0
--
-- What products are recommended by: who bought what, what was bought by the same customers, and how many
-- bought it lately. All of it is made from orders, by difference.

-- +goose Up

ALTER TABLE products ADD COLUMN created_at BIGINT NOT NULL DEFAULT 0; -- when the shop first told of it
UPDATE products SET created_at = updated_at;
CREATE INDEX products_created ON products (ns, created_at, id);
CREATE INDEX products_category ON products (ns, category, id);

-- How far a shop's orders are in the tables below. Whoever writes those holds this row's lock.
CREATE TABLE recommendations (
  ns       ${ID} NOT NULL PRIMARY KEY,
  state    ${ID} NOT NULL,  -- first: everybody is looked at for the first time; pairing: their pairs are counted; ready; again: everybody is looked at again; dropping
  seq      BIGINT NOT NULL, -- of the feed: what was touched up to here is in the tables; of a walk, when it began
  after    ${ID} NOT NULL,  -- the last customer of the walk, or of what seq + 1 touched, who is in the tables; while pairing, the last product
  seen_at  BIGINT NOT NULL  -- when somebody last looked whether there is more
)${CLUSTERED};

-- What a customer's counted orders say of a product, as it was counted in the tables below. The logarithms are
-- of the intervals between purchases in days, in millionths, so that sums of them are exact.
CREATE TABLE bought (
  ns           ${ID} NOT NULL,
  customer_id  ${ID} NOT NULL,
  product_id   ${ID} NOT NULL,
  purchases    BIGINT NOT NULL,
  last_at      BIGINT NOT NULL,
  day          BIGINT NOT NULL, -- of last_at, since 2020, and not in the future: what its weight is of
  log_sum      BIGINT NOT NULL,
  log_squares  BIGINT NOT NULL,
  paired       SMALLINT NOT NULL, -- 1: one of the customer's latest, which are in pairs
  PRIMARY KEY (ns, customer_id, product_id)
)${CLUSTERED};
CREATE INDEX bought_product ON bought (ns, product_id, customer_id) WHERE paired = 1;

-- How many customers bought both products. Each pair is here both ways round.
CREATE TABLE pairs (
  ns          ${ID} NOT NULL,
  product_id  ${ID} NOT NULL,
  other_id    ${ID} NOT NULL,
  customers   BIGINT NOT NULL,
  PRIMARY KEY (ns, product_id, other_id)
)${CLUSTERED};
CREATE INDEX pairs_most ON pairs (ns, product_id, customers DESC, other_id);

-- Sums over the customers who bought a product.
CREATE TABLE product_sales (
  ns              ${ID} NOT NULL,
  product_id      ${ID} NOT NULL,
  buyers          BIGINT NOT NULL,
  weight          TEXT NOT NULL,             -- of the buyers, the later they bought the more: a whole number in base 16
  score           DOUBLE PRECISION NOT NULL, -- the same, to sort by
  repeaters       BIGINT NOT NULL,           -- buyers with an interval between purchases
  intervals       BIGINT NOT NULL,
  log_sum         BIGINT NOT NULL,
  log_squares     BIGINT NOT NULL,
  own_squares     BIGINT NOT NULL,           -- of each buyer log_sum squared, by their intervals
  counts_squared  BIGINT NOT NULL,           -- of each buyer their intervals squared
  PRIMARY KEY (ns, product_id)
)${CLUSTERED};
CREATE INDEX product_sales_score ON product_sales (ns, score DESC, product_id);

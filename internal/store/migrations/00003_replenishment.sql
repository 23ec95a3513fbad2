-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- How many predictions a shop wants. Whoever ingests orders shares the lock of this row until the end
-- of the transaction, and whoever changes tracked or cycles has it alone: no orders are ingested by what
-- was tracked before.
CREATE TABLE tracking (
  ns     ${ID} NOT NULL PRIMARY KEY,
  wanted BIGINT NOT NULL
)${CLUSTERED};

-- The predictions that are wanted.
CREATE TABLE tracked (
  ns         ${ID} NOT NULL,
  scope      ${ID} NOT NULL, -- product, category, any
  id         ${ID} NOT NULL, -- of the product or the category, empty for any
  wanted_at  BIGINT,         -- NULL: not any more, and its rows are being deleted
  ready_at   BIGINT,         -- since when everybody has a row who has bought it
  PRIMARY KEY (ns, scope, id)
)${CLUSTERED};

-- How often what is tracked is bought.
CREATE TABLE cycles (
  ns               ${ID} NOT NULL,
  scope            ${ID} NOT NULL,
  id               ${ID} NOT NULL,
  source           ${ID} NOT NULL,  -- whose intervals these are: product, category, any
  intervals        BIGINT NOT NULL, -- 0: there is no prediction
  median_days      DOUBLE PRECISION NOT NULL,
  within_variance  DOUBLE PRECISION NOT NULL, -- of a customer's log intervals around their own mean
  k                DOUBLE PRECISION NOT NULL, -- how many intervals of one's own this is worth
  computed_at      BIGINT NOT NULL,
  applied_at       BIGINT, -- NULL: some dates may still be those of the cycle before
  PRIMARY KEY (ns, scope, id)
)${CLUSTERED};

-- When a customer is expected to buy again, kept in the transaction that ingests an order.
CREATE TABLE replenishments (
  ns           ${ID} NOT NULL,
  scope        ${ID} NOT NULL,
  id           ${ID} NOT NULL,
  customer_id  ${ID} NOT NULL,
  purchases    BIGINT NOT NULL,
  last_at      BIGINT NOT NULL,
  log_sum      DOUBLE PRECISION NOT NULL, -- of the logarithms of the intervals in days
  missed       BIGINT NOT NULL, -- predictions since last_at that passed; -1: there is none left
  due_at       BIGINT,
  confidence   DOUBLE PRECISION, -- probability that it is within 7 days of due_at, if ever
  PRIMARY KEY (ns, scope, id, customer_id)
)${CLUSTERED};
CREATE INDEX replenishments_due ON replenishments (ns, scope, id, due_at, customer_id);

-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0
--
-- What customers are ranked by that their row of metrics does not have: what they spent in a window, or
-- on some things.

-- +goose Up

CREATE TABLE rankings (
  ns        ${ID} NOT NULL,
  ranking   ${ID} NOT NULL,  -- the condition without its percentage, as JSON
  seq       BIGINT NOT NULL, -- of the feed: what was touched up to here is in ranked
  at        BIGINT NOT NULL, -- when the window ended
  built_at  BIGINT NOT NULL, -- when it was made anew
  size      BIGINT NOT NULL, -- how many are ranked
  PRIMARY KEY (ns, ranking)
)${CLUSTERED};

CREATE TABLE ranked (
  ns           ${ID} NOT NULL,
  ranking      ${ID} NOT NULL,
  customer_id  ${ID} NOT NULL,
  amount       BIGINT NOT NULL,
  PRIMARY KEY (ns, ranking, customer_id)
)${CLUSTERED};
CREATE INDEX ranked_amount ON ranked (ns, ranking, amount, customer_id);

-- All that segments ask of a customer's orders, side by side: an order is somewhere else than the next.
DROP INDEX orders_customer;
CREATE INDEX orders_customer ON orders (ns, customer_id, placed_at, counted, total, id, source, status);

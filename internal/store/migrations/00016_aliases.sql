-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- Other ids of customers: those that were merged into them. A survivor is never an alias itself.
CREATE TABLE aliases (
  ns           ${ID} NOT NULL,
  alias        ${ID} NOT NULL,
  customer_id  ${ID} NOT NULL, -- the survivor
  created_at   BIGINT NOT NULL,
  PRIMARY KEY (ns, alias)
)${CLUSTERED};
CREATE INDEX aliases_customer ON aliases (ns, customer_id);

CREATE INDEX past_memberships_customer ON past_memberships (ns, customer_id);

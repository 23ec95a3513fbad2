-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- What scenarios that let in one customer at a time listen to.
CREATE TABLE listeners (
  ns        ${ID} NOT NULL,
  scenario  ${ID} NOT NULL,
  kind      ${ID} NOT NULL, -- event, order, segment, exit, enter, product, change
  name      ${ID} NOT NULL, -- of the event, the segment or a product's news; empty for the others
  param     BIGINT NOT NULL, -- the kinds of things learnt, for a change; how many are few, for a product
  late      BIGINT NOT NULL, -- what is older than this, in milliseconds, when it is learnt lets nobody in
  PRIMARY KEY (ns, scenario, kind, name)
)${CLUSTERED};
CREATE INDEX listeners_name ON listeners (ns, kind, name);

-- Facts that may let somebody in, put there in the transaction that learnt them, until the scenario has
-- decided about them.
CREATE TABLE arrivals (
  ns           ${ID} NOT NULL,
  scenario     ${ID} NOT NULL,
  id           ${ID} NOT NULL, -- in the order of their coming, nearly
  kind         ${ID} NOT NULL, -- as of its listener
  name         ${ID} NOT NULL, -- as of its listener
  ref          ${ID} NOT NULL, -- what it is among its kind: an event's id, an order's
  customer_id  ${ID} NOT NULL,
  at           BIGINT NOT NULL, -- when it happened
  facts        ${JSON} NOT NULL,
  PRIMARY KEY (ns, scenario, id)
)${CLUSTERED};

-- Slots of dates, and news of products, that still have to let in whom they are about.
CREATE TABLE fanouts (
  ns           ${ID} NOT NULL,
  scenario     ${ID} NOT NULL,
  slot         ${ID} NOT NULL, -- as in slots, or the news' own
  slot_at      BIGINT NOT NULL,
  facts        ${JSON},        -- of a product's news
  customer_id  ${ID} NOT NULL, -- the last who was decided about,
  ref          ${ID} NOT NULL, -- and which of their occasions
  PRIMARY KEY (ns, scenario, slot)
)${CLUSTERED};

CREATE INDEX events_product ON events (ns, name, ${PRODUCT}, occurred_at, customer_id) WHERE name IN ('Product Viewed', 'Product Added');

ALTER TABLE enrolments ADD COLUMN facts ${JSON};     -- what let them in
ALTER TABLE enrolments ADD COLUMN until_at BIGINT;   -- when the wait ends of whom is looked at before, at due_at
ALTER TABLE enrolments ADD COLUMN since_at BIGINT;   -- since when they wait for an event

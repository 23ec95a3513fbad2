-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0
--
-- One text for PostgreSQL and SQLite. Words in ${} differ between them and are replaced when the
-- migration is read: ${ID} is text in byte order, ${JSON} a JSON document, ${UUID} a UUID, and
-- ${CLUSTERED} keeps a table in the order of its primary key where the store can.
-- Times are milliseconds since 1970 UTC, amounts are in 1/10,000 of a currency unit, and ns, the
-- namespace of the shop, leads every key.

-- +goose Up

CREATE TABLE customers (
  ns            ${ID} NOT NULL,
  id            ${ID} NOT NULL,
  email         TEXT,
  phone         TEXT,
  line_user_id  TEXT,
  attributes    ${JSON} NOT NULL,
  created_at    BIGINT NOT NULL,
  updated_at    BIGINT NOT NULL,
  PRIMARY KEY (ns, id)
)${CLUSTERED};

CREATE TABLE consents (
  ns           ${ID} NOT NULL,
  customer_id  ${ID} NOT NULL,
  channel      ${ID} NOT NULL, -- email, line, sms
  state        ${ID} NOT NULL, -- granted, withdrawn
  source       TEXT NOT NULL,  -- import, unsubscribe, ...
  changed_at   BIGINT NOT NULL,
  PRIMARY KEY (ns, customer_id, channel)
)${CLUSTERED};

-- Addresses that must not be used, whoever they belong to.
CREATE TABLE suppressions (
  ns          ${ID} NOT NULL,
  channel     ${ID} NOT NULL,
  address     ${ID} NOT NULL,
  reason      TEXT NOT NULL,
  created_at  BIGINT NOT NULL,
  PRIMARY KEY (ns, channel, address)
)${CLUSTERED};

-- Who follows and who has blocked the LINE account: the latest word on it, by LINE's clock. It
-- stays when a suppression is lifted, so that an older word that arrives later is known as one.
CREATE TABLE follows (
  ns            ${ID} NOT NULL,
  line_user_id  ${ID} NOT NULL,
  state         ${ID} NOT NULL, -- followed, unfollowed
  changed_at    BIGINT NOT NULL,
  PRIMARY KEY (ns, line_user_id)
)${CLUSTERED};

CREATE TABLE products (
  ns          ${ID} NOT NULL,
  id          ${ID} NOT NULL,
  name        TEXT NOT NULL,
  category    ${ID},
  price       BIGINT,
  stock       BIGINT,
  url         TEXT,
  image_url   TEXT,
  updated_at  BIGINT NOT NULL,
  PRIMARY KEY (ns, id)
)${CLUSTERED};

CREATE TABLE orders (
  ns           ${ID} NOT NULL,
  id           ${ID} NOT NULL,
  customer_id  ${ID} NOT NULL,
  placed_at    BIGINT NOT NULL,
  total        BIGINT NOT NULL,
  currency     ${ID},
  status       ${ID} NOT NULL,
  source       ${ID},
  counted      SMALLINT NOT NULL, -- 1 unless cancelled or refunded
  received_at  BIGINT NOT NULL,   -- when this version arrived
  PRIMARY KEY (ns, id)
)${CLUSTERED};
CREATE INDEX orders_customer ON orders (ns, customer_id, placed_at, counted, total);
CREATE INDEX orders_placed ON orders (ns, placed_at, counted, customer_id, total);
CREATE INDEX orders_received ON orders (ns, received_at, customer_id);

CREATE TABLE order_items (
  ns           ${ID} NOT NULL,
  order_id     ${ID} NOT NULL,
  line         INTEGER NOT NULL,
  customer_id  ${ID} NOT NULL,
  product_id   ${ID},
  name         TEXT,
  category     ${ID},
  quantity     BIGINT NOT NULL,
  price        BIGINT,
  PRIMARY KEY (ns, order_id, line)
)${CLUSTERED};
CREATE INDEX order_items_category ON order_items (ns, category, order_id);
CREATE INDEX order_items_product ON order_items (ns, product_id, order_id);

CREATE TABLE events (
  ns           ${ID} NOT NULL,
  id           ${ID} NOT NULL,
  customer_id  ${ID} NOT NULL,
  name         ${ID} NOT NULL,
  occurred_at  BIGINT NOT NULL,
  properties   ${JSON} NOT NULL,
  received_at  BIGINT NOT NULL,
  PRIMARY KEY (ns, id)
)${CLUSTERED};
CREATE INDEX events_customer ON events (ns, customer_id, name, occurred_at);
CREATE INDEX events_name ON events (ns, name, occurred_at, customer_id);

CREATE TABLE subscriptions (
  ns                ${ID} NOT NULL,
  id                ${ID} NOT NULL,
  customer_id       ${ID} NOT NULL,
  plan              ${ID},
  status            ${ID} NOT NULL, -- Active, Paused, Cancelled
  started_at        BIGINT,
  cancelled_at      BIGINT,
  next_delivery_at  BIGINT,
  updated_at        BIGINT NOT NULL,
  PRIMARY KEY (ns, id)
)${CLUSTERED};
CREATE INDEX subscriptions_customer ON subscriptions (ns, customer_id, status);

CREATE TABLE coupons (
  ns           ${ID} NOT NULL,
  pool         ${ID} NOT NULL,
  code         ${ID} NOT NULL,
  expires_at   BIGINT,
  customer_id  ${ID}, -- whom it was given to
  message_key  ${ID}, -- and for what
  assigned_at  BIGINT,
  PRIMARY KEY (ns, pool, code)
)${CLUSTERED};

-- One row for each who has ordered, kept in the transaction that ingests an order.
CREATE TABLE metrics (
  ns                 ${ID} NOT NULL,
  customer_id        ${ID} NOT NULL,
  orders             BIGINT NOT NULL, -- counted orders
  spend              BIGINT NOT NULL, -- total of counted orders
  first_order_at     BIGINT,
  last_order_at      BIGINT,
  previous_order_at  BIGINT,          -- the one before the last
  PRIMARY KEY (ns, customer_id)
)${CLUSTERED};
CREATE INDEX metrics_orders ON metrics (ns, orders, last_order_at, customer_id);
CREATE INDEX metrics_last ON metrics (ns, last_order_at, customer_id);
CREATE INDEX metrics_spend ON metrics (ns, spend, orders, customer_id);

CREATE TABLE memberships (
  ns           ${ID} NOT NULL,
  segment      ${ID} NOT NULL,
  customer_id  ${ID} NOT NULL,
  entered_at   BIGINT NOT NULL,
  PRIMARY KEY (ns, segment, customer_id)
)${CLUSTERED};

-- What the last refresh of a segment found.
CREATE TABLE segments (
  ns            ${ID} NOT NULL,
  name          ${ID} NOT NULL,
  spec_hash     TEXT NOT NULL,
  refreshed_at  BIGINT NOT NULL,
  mode          TEXT NOT NULL,
  candidates    BIGINT NOT NULL,
  members       BIGINT NOT NULL,
  entered       BIGINT NOT NULL,
  exited        BIGINT NOT NULL,
  reach_line    BIGINT NOT NULL,
  reach_email   BIGINT NOT NULL,
  reach_sms     BIGINT NOT NULL,
  duration_us   BIGINT NOT NULL,
  PRIMARY KEY (ns, name)
)${CLUSTERED};

-- What the controller armed; the engine works from here.
CREATE TABLE scenarios (
  ns           ${ID} NOT NULL,
  name         ${ID} NOT NULL,
  epoch        ${ID} NOT NULL,
  revision     ${ID} NOT NULL,
  state        ${ID} NOT NULL, -- armed, suspended, stalled, deleted
  goal_seen_at BIGINT NOT NULL, -- orders received up to here are attributed
  updated_at   BIGINT NOT NULL,
  PRIMARY KEY (ns, name)
)${CLUSTERED};

-- A scenario's spec with the content it refers to, as runs were planned with it.
CREATE TABLE revisions (
  ns          ${ID} NOT NULL,
  scenario    ${ID} NOT NULL,
  revision    ${ID} NOT NULL,
  bundle      TEXT NOT NULL,
  created_at  BIGINT NOT NULL,
  PRIMARY KEY (ns, scenario, revision)
)${CLUSTERED};

CREATE TABLE schedules (
  ns             ${ID} NOT NULL,
  scenario       ${ID} NOT NULL,
  schedule       ${ID} NOT NULL, -- the expression and its zone
  first_seen_at  BIGINT NOT NULL,
  PRIMARY KEY (ns, scenario, schedule)
)${CLUSTERED};

-- The ledger of slots: what fired, what was missed. It outlives the Jobs.
CREATE TABLE slots (
  ns           ${ID} NOT NULL,
  scenario     ${ID} NOT NULL,
  slot         ${ID} NOT NULL, -- wall-clock time in the schedule's zone
  slot_at      BIGINT NOT NULL,
  state        ${ID} NOT NULL, -- fired, missed
  reason       TEXT NOT NULL,
  recorded_at  BIGINT NOT NULL,
  PRIMARY KEY (ns, scenario, slot)
)${CLUSTERED};
CREATE INDEX slots_latest ON slots (ns, scenario, slot_at);

CREATE TABLE runs (
  ns            ${ID} NOT NULL,
  scenario      ${ID} NOT NULL,
  run           ${ID} NOT NULL, -- the name of its Job
  epoch         ${ID} NOT NULL,
  revision      ${ID} NOT NULL,
  segment       ${ID} NOT NULL, -- whose members it lets in
  slot_at       BIGINT NOT NULL,
  state         ${ID} NOT NULL, -- enrolling, planning, planned, running, complete, cancelled
  planned       BIGINT NOT NULL,
  shards        BIGINT NOT NULL,
  created_at    BIGINT NOT NULL,
  completed_at  BIGINT,
  PRIMARY KEY (ns, scenario, run)
)${CLUSTERED};
CREATE INDEX runs_slot ON runs (ns, scenario, slot_at);
CREATE INDEX runs_open ON runs (slot_at) WHERE state IN ('enrolling', 'planning', 'planned', 'running');

-- Who is where in a scenario.
CREATE TABLE enrolments (
  ns            ${ID} NOT NULL,
  scenario      ${ID} NOT NULL,
  epoch         ${ID} NOT NULL,
  customer_id   ${ID} NOT NULL,
  entry         ${ID} NOT NULL,
  run           ${ID} NOT NULL, -- the run that let them in
  state         ${ID} NOT NULL, -- active, completed, exited, holdout, cancelled
  reason        TEXT NOT NULL,
  step          ${ID} NOT NULL, -- the step that comes next
  due_at        BIGINT NOT NULL,
  enrolled_at   BIGINT NOT NULL,
  ended_at      BIGINT,
  converted_at  BIGINT,
  order_id      ${ID},
  revenue       BIGINT,
  PRIMARY KEY (ns, scenario, epoch, customer_id, entry)
)${CLUSTERED};
CREATE INDEX enrolments_due ON enrolments (ns, scenario, epoch, due_at, customer_id, entry) WHERE state = 'active';
CREATE INDEX enrolments_customer ON enrolments (ns, customer_id, scenario);
CREATE INDEX enrolments_state ON enrolments (ns, scenario, epoch, state);
CREATE INDEX enrolments_order ON enrolments (ns, order_id) WHERE order_id IS NOT NULL;
CREATE INDEX enrolments_run ON enrolments (ns, scenario, run, customer_id) WHERE state = 'active';

-- The outbox. A message is here before any provider is called.
CREATE TABLE messages (
  id            ${UUID} NOT NULL PRIMARY KEY,
  ns            ${ID} NOT NULL,
  scenario      ${ID} NOT NULL,
  epoch         ${ID} NOT NULL,
  customer_id   ${ID} NOT NULL,
  entry         ${ID} NOT NULL,
  step          ${ID} NOT NULL,
  run           ${ID} NOT NULL, -- empty where no Job carries it
  revision      ${ID} NOT NULL,
  shard         ${UUID},
  channel       ${ID} NOT NULL, -- the ChannelConfig
  kind          ${ID} NOT NULL, -- email, line, sms
  state         ${ID} NOT NULL, -- planned, sending, sent, failed, skipped, cancelled, unknown
  reason        TEXT NOT NULL,
  provider_id   ${ID},
  attempts      INTEGER NOT NULL,
  fence         BIGINT NOT NULL, -- the lease under which it is being sent
  parts         BIGINT NOT NULL,
  cost          BIGINT NOT NULL,
  due_at        BIGINT NOT NULL,
  planned_at    BIGINT NOT NULL,
  expires_at    BIGINT NOT NULL, -- the last useful moment
  begun_at      BIGINT, -- machine time of the first try that a provider could see
  ended_at      BIGINT,
  delivered_at  BIGINT,
  opened_at     BIGINT,
  clicked_at    BIGINT,
  bounced_at    BIGINT,
  converted_at  BIGINT
);
CREATE UNIQUE INDEX messages_key ON messages (ns, scenario, epoch, customer_id, entry, step);
CREATE INDEX messages_open ON messages (shard, id) WHERE state IN ('planned', 'sending');
CREATE INDEX messages_count ON messages (ns, scenario, epoch, step, state);
CREATE INDEX messages_run ON messages (ns, scenario, run, state);
CREATE INDEX messages_customer ON messages (ns, customer_id, planned_at);
CREATE INDEX messages_channel ON messages (ns, channel, ended_at);
CREATE INDEX messages_provider ON messages (ns, provider_id);

CREATE TABLE shards (
  id           ${UUID} NOT NULL PRIMARY KEY,
  ns           ${ID} NOT NULL,
  scenario     ${ID} NOT NULL,
  run          ${ID} NOT NULL,
  idx          INTEGER NOT NULL,
  size         BIGINT NOT NULL,
  state        ${ID} NOT NULL, -- held, open, done, cancelled
  holder       TEXT NOT NULL,
  lease_until  BIGINT NOT NULL, -- machine time
  fence        BIGINT NOT NULL,
  created_at   BIGINT NOT NULL
);
CREATE UNIQUE INDEX shards_run ON shards (ns, scenario, run, idx);
CREATE INDEX shards_open ON shards (lease_until) WHERE state = 'open';

-- What came back about a message; the id tells a repeated callback.
CREATE TABLE receipts (
  ns           ${ID} NOT NULL,
  id           ${ID} NOT NULL,
  message_id   ${UUID} NOT NULL,
  kind         ${ID} NOT NULL, -- delivered, undelivered, opened, clicked, unsubscribed
  detail       TEXT NOT NULL,
  machine      SMALLINT NOT NULL, -- 1 when a program did it, not the customer
  occurred_at  BIGINT NOT NULL,
  received_at  BIGINT NOT NULL,
  PRIMARY KEY (ns, id)
)${CLUSTERED};
CREATE INDEX receipts_message ON receipts (message_id);

-- Short links, where a long one would cost.
CREATE TABLE links (
  code        ${ID} NOT NULL PRIMARY KEY,
  ns          ${ID} NOT NULL,
  message_id  ${UUID} NOT NULL,
  kind        ${ID} NOT NULL, -- l (click), u (unsubscribe), p (preferences)
  url         TEXT NOT NULL
)${CLUSTERED};
CREATE INDEX links_message ON links (message_id);

-- Keys that Kaeru makes for itself, such as the one that signs links.
CREATE TABLE keys (
  name        ${ID} NOT NULL PRIMARY KEY,
  value       TEXT NOT NULL,
  created_at  BIGINT NOT NULL
);

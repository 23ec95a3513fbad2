-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0
--
-- What lets a segment cost what changed: the feed of what facts touched, facts about customers that
-- would take long to work out, and what a refresh must remember until the next.

-- +goose Up

-- One row a shop. seq is taken in the order of commits: who sees a number sees everything up to it.
CREATE TABLE feeds (
  ns             ${ID} NOT NULL PRIMARY KEY,
  seq            BIGINT NOT NULL,
  complete_from  BIGINT NOT NULL -- what was touched after this is all in touched
);

-- Customers about whom something was learnt, and what kind of thing.
CREATE TABLE touched (
  ns             ${ID} NOT NULL,
  seq            BIGINT NOT NULL,
  customer_id    ${ID} NOT NULL,
  kinds          BIGINT NOT NULL, -- bits
  orders_before  BIGINT,          -- the metrics before, where these changed and there were any
  spend_before   BIGINT,
  last_before    BIGINT,
  PRIMARY KEY (ns, seq, customer_id)
)${CLUSTERED};

-- reach has a bit for each kind of channel that reaches the customer: an address, consent, no
-- suppression. 1 is email, 2 LINE, 4 SMS.
ALTER TABLE customers ADD COLUMN reach SMALLINT NOT NULL DEFAULT 0;
UPDATE customers SET reach =
    CASE WHEN email <> '' AND EXISTS (SELECT 1 FROM consents k WHERE k.ns = customers.ns AND k.customer_id = customers.id AND k.channel = 'email' AND k.state = 'granted')
      AND NOT EXISTS (SELECT 1 FROM suppressions x WHERE x.ns = customers.ns AND x.channel = 'email' AND x.address = customers.email) THEN 1 ELSE 0 END
  + CASE WHEN line_user_id <> '' AND EXISTS (SELECT 1 FROM consents k WHERE k.ns = customers.ns AND k.customer_id = customers.id AND k.channel = 'line' AND k.state = 'granted')
      AND NOT EXISTS (SELECT 1 FROM suppressions x WHERE x.ns = customers.ns AND x.channel = 'line' AND x.address = customers.line_user_id) THEN 2 ELSE 0 END
  + CASE WHEN phone <> '' AND EXISTS (SELECT 1 FROM consents k WHERE k.ns = customers.ns AND k.customer_id = customers.id AND k.channel = 'sms' AND k.state = 'granted')
      AND NOT EXISTS (SELECT 1 FROM suppressions x WHERE x.ns = customers.ns AND x.channel = 'sms' AND x.address = customers.phone) THEN 4 ELSE 0 END;
CREATE INDEX customers_email ON customers (ns, email) WHERE email IS NOT NULL;
CREATE INDEX customers_phone ON customers (ns, phone) WHERE phone IS NOT NULL;
CREATE INDEX customers_line ON customers (ns, line_user_id) WHERE line_user_id IS NOT NULL;

CREATE INDEX subscriptions_cancelled ON subscriptions (ns, cancelled_at, customer_id) WHERE cancelled_at IS NOT NULL;
CREATE INDEX subscriptions_delivery ON subscriptions (ns, next_delivery_at, customer_id) WHERE next_delivery_at IS NOT NULL;

-- What became of messages, a row each the first time.
CREATE TABLE engagements (
  ns           ${ID} NOT NULL,
  message_id   ${UUID} NOT NULL,
  kind         ${ID} NOT NULL, -- delivered, opened, clicked, converted
  customer_id  ${ID} NOT NULL,
  at           BIGINT NOT NULL,
  scenario     ${ID} NOT NULL,
  channel      ${ID} NOT NULL,
  PRIMARY KEY (ns, message_id, kind)
)${CLUSTERED};
INSERT INTO engagements (ns, message_id, kind, customer_id, at, scenario, channel)
SELECT ns, id, 'delivered', customer_id, delivered_at, scenario, channel FROM messages WHERE delivered_at IS NOT NULL
UNION ALL SELECT ns, id, 'opened', customer_id, opened_at, scenario, channel FROM messages WHERE opened_at IS NOT NULL
UNION ALL SELECT ns, id, 'clicked', customer_id, clicked_at, scenario, channel FROM messages WHERE clicked_at IS NOT NULL
UNION ALL SELECT ns, id, 'converted', customer_id, converted_at, scenario, channel FROM messages WHERE converted_at IS NOT NULL;
CREATE INDEX engagements_customer ON engagements (ns, customer_id, kind, at, scenario, channel);
CREATE INDEX engagements_kind ON engagements (ns, kind, at, customer_id, scenario, channel);

-- The wish lists: what was put there and not taken away since.
CREATE TABLE favourites (
  ns           ${ID} NOT NULL,
  customer_id  ${ID} NOT NULL,
  product_id   ${ID} NOT NULL,
  category     ${ID}, -- as the event said it
  added_at     BIGINT NOT NULL,
  PRIMARY KEY (ns, customer_id, product_id)
)${CLUSTERED};
INSERT INTO favourites (ns, customer_id, product_id, category, added_at)
SELECT e.ns, e.customer_id, e.properties ->> 'product_id', MAX(e.properties ->> 'category'), MAX(e.occurred_at)
FROM events e
WHERE e.name = 'Product Added to Wishlist' AND e.properties ->> 'product_id' <> ''
  AND NOT EXISTS (SELECT 1 FROM events l WHERE l.ns = e.ns AND l.customer_id = e.customer_id AND l.name = 'Product Removed from Wishlist'
    AND l.properties ->> 'product_id' = e.properties ->> 'product_id' AND l.occurred_at >= e.occurred_at)
GROUP BY e.ns, e.customer_id, e.properties ->> 'product_id';
CREATE INDEX favourites_product ON favourites (ns, product_id, added_at, customer_id);
CREATE INDEX favourites_added ON favourites (ns, added_at, customer_id);

-- Where a refresh goes on.
ALTER TABLE segments ADD COLUMN definition TEXT NOT NULL DEFAULT ''; -- the match and what of the shop it depends on
ALTER TABLE segments ADD COLUMN seq BIGINT NOT NULL DEFAULT 0;       -- of the feed: what was touched up to here is in the membership
ALTER TABLE segments ADD COLUMN cuts TEXT NOT NULL DEFAULT '';       -- the thresholds of percentages that the membership was made with
ALTER TABLE segments ADD COLUMN changed_at BIGINT NOT NULL DEFAULT 0; -- when the numbers or the match changed
ALTER TABLE segments ADD COLUMN full_at BIGINT NOT NULL DEFAULT 0;   -- when everybody was looked at
ALTER TABLE segments ADD COLUMN base BIGINT NOT NULL DEFAULT 0;      -- how many customers were looked at then
ALTER TABLE segments ADD COLUMN kept_since BIGINT NOT NULL DEFAULT 0; -- who came and went is known from here on
ALTER TABLE memberships ADD COLUMN reach SMALLINT NOT NULL DEFAULT 0; -- as the customer's, when it was last counted
UPDATE memberships SET reach = (SELECT c.reach FROM customers c WHERE c.ns = memberships.ns AND c.id = memberships.customer_id)
  WHERE EXISTS (SELECT 1 FROM customers c WHERE c.ns = memberships.ns AND c.id = memberships.customer_id);

CREATE INDEX memberships_customer ON memberships (ns, customer_id, segment, reach);

-- Who was in a segment, from when until when.
CREATE TABLE past_memberships (
  ns           ${ID} NOT NULL,
  segment      ${ID} NOT NULL,
  exited_at    BIGINT NOT NULL,
  customer_id  ${ID} NOT NULL,
  entered_at   BIGINT NOT NULL,
  PRIMARY KEY (ns, segment, exited_at, customer_id, entered_at)
)${CLUSTERED};

-- The thresholds of percentages of those who have bought, with what keeps them as orders come in.
CREATE TABLE cuts (
  ns       ${ID} NOT NULL,
  measure  ${ID} NOT NULL, -- spend, average, orders, last
  best     ${ID} NOT NULL, -- high or low: which end the share is of
  share    BIGINT NOT NULL, -- in millionths
  value    BIGINT,          -- the last that is within; NULL without buyers
  better   BIGINT NOT NULL, -- buyers with a better value
  same     BIGINT NOT NULL, -- buyers with this value
  buyers   BIGINT NOT NULL,
  seq      BIGINT NOT NULL, -- of the feed
  PRIMARY KEY (ns, measure, best, share)
)${CLUSTERED};

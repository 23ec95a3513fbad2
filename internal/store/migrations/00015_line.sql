-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- Reply tokens that came with LINE's events: an answer that goes out with one is not counted by LINE. They
-- live for less than a minute, and are known to nobody but the sender.
CREATE TABLE line_replies (
  ns          ${ID} NOT NULL,
  event_id    ${ID} NOT NULL, -- of the event that asks for an answer
  channel     ${ID} NOT NULL, -- the ChannelConfig that it came in by
  token       TEXT NOT NULL,
  expires_at  BIGINT NOT NULL, -- machine time
  message_id  ${UUID},         -- the message that goes out with it; no other may
  PRIMARY KEY (ns, event_id)
)${CLUSTERED};
CREATE INDEX line_replies_message ON line_replies (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX line_replies_expired ON line_replies (expires_at);

-- Customers who are on their way through LINE's page that links their account. Only a hash of the nonce is here.
CREATE TABLE line_links (
  nonce_hash   ${ID} NOT NULL PRIMARY KEY,
  ns           ${ID} NOT NULL,
  channel      ${ID} NOT NULL,
  customer_id  ${ID} NOT NULL,
  expires_at   BIGINT NOT NULL -- machine time
);
CREATE INDEX line_links_expired ON line_links (expires_at);

-- The aggregation units that pushes named in a month. LINE keeps statistics of the first thousand.
CREATE TABLE line_units (
  ns          ${ID} NOT NULL,
  channel     ${ID} NOT NULL,
  month       ${ID} NOT NULL, -- in Japan, such as 2026-11
  unit        ${ID} NOT NULL,
  place       BIGINT NOT NULL, -- counts from 1; beyond a thousand the unit is not sent
  scenario    ${ID} NOT NULL,
  step        ${ID} NOT NULL,
  variant     ${ID} NOT NULL,
  PRIMARY KEY (ns, channel, month, unit)
)${CLUSTERED};
CREATE UNIQUE INDEX line_units_place ON line_units (ns, channel, month, place);

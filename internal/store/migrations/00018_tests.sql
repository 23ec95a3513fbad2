-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- Messages that somebody sent as tests. They stand apart from the others, so that nothing that counts
-- messages (reports, caps, goals, guardrails, engagement) can count these.
CREATE TABLE test_messages (
  id           ${UUID} NOT NULL PRIMARY KEY,
  ns           ${ID} NOT NULL,
  scenario     ${ID} NOT NULL,
  step         ${ID} NOT NULL,
  variant      ${ID} NOT NULL,
  revision     ${ID} NOT NULL,
  customer_id  ${ID} NOT NULL,
  channel      ${ID} NOT NULL, -- the ChannelConfig
  kind         ${ID} NOT NULL, -- email, line, sms
  state        ${ID} NOT NULL, -- sending, sent, failed, skipped, unknown
  reason       TEXT NOT NULL,
  provider_id  ${ID},
  parts        BIGINT NOT NULL,
  cost         BIGINT NOT NULL,
  begun_at     BIGINT NOT NULL,
  ended_at     BIGINT
);
CREATE INDEX test_messages_customer ON test_messages (ns, customer_id);

-- How often the provider was asked what became of a text message of which it told nothing.
ALTER TABLE messages ADD COLUMN asked INTEGER NOT NULL DEFAULT 0;
CREATE INDEX messages_unheard ON messages (asked, ended_at)
  WHERE kind = 'sms' AND state = 'sent' AND delivered_at IS NULL AND bounced_at IS NULL AND provider_id IS NOT NULL AND asked < 2;

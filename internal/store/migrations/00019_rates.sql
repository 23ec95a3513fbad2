-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- The rate of a channel, as the processes that send through it share it. Moments in it are of the database's
-- clock. Where one process has the store to itself, it keeps this in memory.
CREATE TABLE channel_rates (
  ns       ${ID} NOT NULL,
  channel  ${ID} NOT NULL,
  state    TEXT NOT NULL, -- JSON
  PRIMARY KEY (ns, channel)
)${CLUSTERED};

-- Channels that do not send for now. A pause is for one configuration and its credentials.
CREATE TABLE channel_pauses (
  ns           ${ID} NOT NULL,
  channel      ${ID} NOT NULL,
  fingerprint  ${ID} NOT NULL,
  reason       TEXT NOT NULL,
  detail       TEXT NOT NULL,
  until_at     BIGINT, -- of the database's clock; NULL until somebody has changed something
  PRIMARY KEY (ns, channel, fingerprint)
)${CLUSTERED};

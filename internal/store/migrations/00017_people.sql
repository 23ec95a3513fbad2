-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0
--
-- What customers say about purposes of use, and the proof of all they said.

-- +goose Up

-- What a customer said about one purpose on a kind of channel. What they said about the channel as a
-- whole is in consents, and no purpose goes beyond it.
CREATE TABLE purpose_consents (
  ns           ${ID} NOT NULL,
  customer_id  ${ID} NOT NULL,
  channel      ${ID} NOT NULL, -- email, line, sms
  purpose      ${ID} NOT NULL, -- a name that the shop gave it
  state        ${ID} NOT NULL, -- granted, withdrawn
  source       TEXT NOT NULL,  -- import, preferences, ...
  changed_at   BIGINT NOT NULL,
  PRIMARY KEY (ns, customer_id, channel, purpose)
)${CLUSTERED};

-- Every change of a consent. Rows are added and never changed.
CREATE TABLE consent_changes (
  ns           ${ID} NOT NULL,
  customer_id  ${ID} NOT NULL,
  changed_at   BIGINT NOT NULL,
  channel      ${ID} NOT NULL,
  purpose      ${ID} NOT NULL, -- empty: the channel as a whole
  state        ${ID} NOT NULL,
  source       TEXT NOT NULL,
  PRIMARY KEY (ns, customer_id, changed_at, channel, purpose, state)
)${CLUSTERED};
INSERT INTO consent_changes (ns, customer_id, changed_at, channel, purpose, state, source)
SELECT ns, customer_id, changed_at, channel, '', state, source FROM consents;

ALTER TABLE messages ADD COLUMN purpose ${ID}; -- what it is for, where its scenario says so

-- Customers who were erased, by a hash of their ids: one who comes back under the same id finds what they
-- have been let into already.
CREATE TABLE erasures (
  ns         ${ID} NOT NULL,
  id_hash    ${ID} NOT NULL,
  pseudonym  ${ID} NOT NULL,
  erased_at  BIGINT NOT NULL,
  PRIMARY KEY (ns, id_hash)
)${CLUSTERED};

-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- Messages that ended without being sent, newest first, for those who look after them.
CREATE INDEX messages_unsent ON messages (ns, ended_at, id) WHERE state IN ('failed', 'unknown', 'skipped', 'cancelled');

-- Machine time of the first try whose outcome was lost, of a message that was planned again all the same.
ALTER TABLE messages ADD COLUMN lost_at BIGINT;

-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

ALTER TABLE messages ADD COLUMN not_before BIGINT;                    -- when the quiet hours end that it waits for
ALTER TABLE messages ADD COLUMN priority INTEGER NOT NULL DEFAULT 50; -- as its scenario's, when it was planned
ALTER TABLE runs ADD COLUMN priority INTEGER NOT NULL DEFAULT 50;

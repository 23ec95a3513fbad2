-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

ALTER TABLE runs ADD COLUMN recipients BIGINT;                -- how many were let in, those held out aside
ALTER TABLE runs ADD COLUMN reason TEXT NOT NULL DEFAULT ''; -- why it is held, or was stopped
DROP INDEX runs_open;
CREATE INDEX runs_open ON runs (slot_at) WHERE state IN ('enrolling', 'held', 'planning', 'planned', 'running');

-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- Who works a shard off: '' for any manager, job for the pod of its index.
ALTER TABLE shards ADD COLUMN runner ${ID} NOT NULL DEFAULT '';

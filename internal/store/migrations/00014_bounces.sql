-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- What mail servers refused for reasons of policy: a channel's status tells how much of late.
CREATE INDEX receipts_refused ON receipts (ns, occurred_at) WHERE kind = 'refused';

-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- Why a guardrail stopped what a scenario sends outside of runs, until it is another revision.
ALTER TABLE scenarios ADD COLUMN stopped TEXT NOT NULL DEFAULT '';

-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- The message's share of the conversion that it is credited with, in millionths. All of it where it is absent.
ALTER TABLE messages ADD COLUMN credit INTEGER;

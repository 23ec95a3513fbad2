-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- Why a message goes out as its step's fallback. Its channel and kind are the fallback's then.
ALTER TABLE messages ADD COLUMN fell_back ${ID};

-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

-- For which entry of a customer a coupon was given, and until when it holds for them.
ALTER TABLE coupons ADD COLUMN scenario ${ID};
ALTER TABLE coupons ADD COLUMN epoch ${ID};
ALTER TABLE coupons ADD COLUMN entry ${ID};
ALTER TABLE coupons ADD COLUMN valid_until BIGINT;
ALTER TABLE coupons DROP COLUMN message_key;
CREATE INDEX coupons_free ON coupons (ns, pool, code) WHERE customer_id IS NULL;
CREATE UNIQUE INDEX coupons_given ON coupons (ns, customer_id, scenario, epoch, entry) WHERE customer_id IS NOT NULL;
CREATE INDEX coupons_valid ON coupons (ns, valid_until, customer_id) WHERE valid_until IS NOT NULL;

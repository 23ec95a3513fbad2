-- Copyright The Kaeru Authors.
-- SPDX-License-Identifier: Apache-2.0

-- +goose Up

ALTER TABLE messages ADD COLUMN variant ${ID}; -- of its step, where that has any

-- Which variant of a step won. A test is another one when its variants or its metric are.
CREATE TABLE verdicts (
  ns          ${ID} NOT NULL,
  scenario    ${ID} NOT NULL,
  epoch       ${ID} NOT NULL,
  step        ${ID} NOT NULL,
  test        ${ID} NOT NULL,
  variant     ${ID} NOT NULL,
  decided_at  BIGINT NOT NULL,
  PRIMARY KEY (ns, scenario, epoch, step, test)
)${CLUSTERED};

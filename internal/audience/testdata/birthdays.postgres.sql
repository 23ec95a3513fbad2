SELECT c.id AS id
FROM customers c
WHERE c.ns = $1
  AND ((SUBSTR(NULLIF((c.attributes ->> $2::text), ''), 6, 5) = ANY($3::text[]) AND SUBSTR((CASE WHEN NULLIF((c.attributes ->> $2::text), '') ~ '^(([1-9][0-9]{3})-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|([1-9][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)-02-29)([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?)?$' THEN LEFT(NULLIF((c.attributes ->> $2::text), ''), 10) WHEN NULLIF((c.attributes ->> $2::text), '') ~ '^(([1-9][0-9]{3})-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|([1-9][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)-02-29)[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?(Z|[+-](0[0-9]|1[0-4]):?[0-5][0-9])$' THEN TO_CHAR(CAST(NULLIF((c.attributes ->> $2::text), '') AS TIMESTAMPTZ) AT TIME ZONE CAST($4 AS TEXT), 'YYYY-MM-DD') END), 6, 5) = ANY($5::text[])) OR (((CASE WHEN TRANSLATE(NULLIF((c.attributes ->> $6::text), ''), '0123456789', '') = '' AND LENGTH(NULLIF((c.attributes ->> $6::text), '')) <= 100 OR NULLIF((c.attributes ->> $6::text), '') ~ '^-?[0-9]{1,100}([.][0-9]{1,100})?$' THEN CAST(NULLIF((c.attributes ->> $6::text), '') AS NUMERIC) END) >= CAST($7 AS NUMERIC) AND (CASE WHEN TRANSLATE(NULLIF((c.attributes ->> $6::text), ''), '0123456789', '') = '' AND LENGTH(NULLIF((c.attributes ->> $6::text), '')) <= 100 OR NULLIF((c.attributes ->> $6::text), '') ~ '^-?[0-9]{1,100}([.][0-9]{1,100})?$' THEN CAST(NULLIF((c.attributes ->> $6::text), '') AS NUMERIC) END) <= CAST($8 AS NUMERIC)) AND ((CASE WHEN NULLIF((c.attributes ->> $9::text), '') ~ '^(([1-9][0-9]{3})-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|([1-9][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)-02-29)([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?)?$' THEN LEFT(NULLIF((c.attributes ->> $9::text), ''), 10) WHEN NULLIF((c.attributes ->> $9::text), '') ~ '^(([1-9][0-9]{3})-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|([1-9][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)-02-29)[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?(Z|[+-](0[0-9]|1[0-4]):?[0-5][0-9])$' THEN TO_CHAR(CAST(NULLIF((c.attributes ->> $9::text), '') AS TIMESTAMPTZ) AT TIME ZONE CAST($4 AS TEXT), 'YYYY-MM-DD') END) > $10) AND NULLIF(c.email, '') IS NOT NULL))
  AND (NOT (NULLIF((c.attributes ->> $11::text), '') = ANY($12::text[]))) IS NOT TRUE

SELECT COUNT(*) FROM customers WHERE ns = $1

-- $1: string shop
-- $2: string birthday
-- $3: []string [06-29 06-30 07-01 07-02 07-03 07-04 07-05 07-06 07-07 07-08 07-09 07-10]
-- $4: string Asia/Tokyo
-- $5: []string [07-01 07-02 07-03 07-04 07-05 07-06 07-07 07-08]
-- $6: string age
-- $7: string 20
-- $8: string 29.5
-- $9: string joined
-- $10: string 2025-12-31
-- $11: string prefecture
-- $12: []string [東京都 大阪府]

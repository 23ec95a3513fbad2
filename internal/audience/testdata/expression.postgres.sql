SELECT c.id AS id
FROM customers c LEFT JOIN metrics m ON m.ns = $1 AND m.customer_id = c.id
WHERE c.ns = $1
  AND ((((CAST(COALESCE(m.orders, 0) AS DOUBLE PRECISION) >= CAST($2 AS DOUBLE PRECISION)) AND (((CAST(COALESCE(m.spend, 0) AS DOUBLE PRECISION) / 10000) / NULLIF(CAST(COALESCE(m.orders, 0) AS DOUBLE PRECISION), 0)) < CAST($3 AS DOUBLE PRECISION))) AND (((CAST($4 AS BIGINT) - m.last_order_at) < CAST($5 AS BIGINT)) OR (NULLIF((c.attributes ->> $6::text), '') = ANY($7::text[])))))
  AND ((CASE (((CASE WHEN LENGTH(NULLIF((c.attributes ->> $8::text), '')) <= 31 THEN CAST((CASE WHEN TRANSLATE(NULLIF((c.attributes ->> $8::text), ''), '0123456789', '') = '' AND LENGTH(NULLIF((c.attributes ->> $8::text), '')) <= 100 OR NULLIF((c.attributes ->> $8::text), '') ~ '^-?[0-9]{1,100}([.][0-9]{1,100})?$' THEN CAST(NULLIF((c.attributes ->> $8::text), '') AS NUMERIC) END) AS DOUBLE PRECISION) END) * CAST($2 AS DOUBLE PRECISION)) > CAST($9 AS DOUBLE PRECISION)) WHEN TRUE THEN STARTS_WITH(REVERSE(NULLIF(c.email, '')), REVERSE(CAST($10 AS TEXT))) WHEN FALSE THEN ((NULLIF((c.attributes ->> $11::text), '') COLLATE "C" < CAST($12 AS TEXT)) AND (NOT (NULLIF((c.attributes ->> $13::text), '') = 'true'))) END))
  AND ((CAST(FLOOR(EXTRACT(EPOCH FROM CASE WHEN NULLIF((c.attributes ->> $14::text), '') ~ '^(([1-9][0-9]{3})-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|([1-9][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)-02-29)([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?)?$' THEN CAST(NULLIF((c.attributes ->> $14::text), '') AS TIMESTAMP) AT TIME ZONE CAST($15 AS TEXT) WHEN NULLIF((c.attributes ->> $14::text), '') ~ '^(([1-9][0-9]{3})-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|([1-9][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)-02-29)[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?(Z|[+-](0[0-9]|1[0-4]):?[0-5][0-9])$' THEN CAST(NULLIF((c.attributes ->> $14::text), '') AS TIMESTAMPTZ) END) * 1000) AS BIGINT) < (CAST($4 AS BIGINT) + CAST($16 AS BIGINT)))) IS NOT TRUE

SELECT COUNT(*) FROM customers WHERE ns = $1

-- $1: string shop
-- $2: float64 2
-- $3: float64 39745.2
-- $4: int64 1782896400000
-- $5: int64 2592000000
-- $6: string rank
-- $7: []string [gold silver]
-- $8: string points
-- $9: float64 20.5
-- $10: string @example.com
-- $11: string 名
-- $12: string 花
-- $13: string vip
-- $14: string trial_ends
-- $15: string Asia/Tokyo
-- $16: int64 604800000

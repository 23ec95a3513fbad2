SELECT c.id AS id
FROM customers c LEFT JOIN metrics m ON m.ns = $1 AND m.customer_id = c.id
WHERE c.ns = $1
  AND ((((CAST(COALESCE(m.orders, 0) AS DOUBLE PRECISION) >= CAST($2 AS DOUBLE PRECISION)) AND (((CAST(COALESCE(m.spend, 0) AS DOUBLE PRECISION) / 10000) / NULLIF(CAST(COALESCE(m.orders, 0) AS DOUBLE PRECISION), 0)) < CAST($3 AS DOUBLE PRECISION))) AND (((CAST($4 AS BIGINT) - m.last_order_at) < CAST($5 AS BIGINT)) OR (NULLIF((CASE json_type(c.attributes, $6) WHEN 'text' THEN c.attributes ->> $6 WHEN 'null' THEN NULL ELSE c.attributes -> $6 END), '') IN ($7, $8)))))
  AND ((CASE (((CASE WHEN LENGTH(NULLIF((CASE json_type(c.attributes, $9) WHEN 'text' THEN c.attributes ->> $9 WHEN 'null' THEN NULL ELSE c.attributes -> $9 END), '')) <= 31 THEN CAST(kaeru_number(NULLIF((CASE json_type(c.attributes, $9) WHEN 'text' THEN c.attributes ->> $9 WHEN 'null' THEN NULL ELSE c.attributes -> $9 END), '')) AS DOUBLE PRECISION) END) * CAST($2 AS DOUBLE PRECISION)) > CAST($10 AS DOUBLE PRECISION)) WHEN TRUE THEN (INSTR(NULLIF(c.email, '') || CHAR(0), CAST($11 AS TEXT) || CHAR(0)) > 0) WHEN FALSE THEN ((NULLIF((CASE json_type(c.attributes, $12) WHEN 'text' THEN c.attributes ->> $12 WHEN 'null' THEN NULL ELSE c.attributes -> $12 END), '') < CAST($13 AS TEXT)) AND (NOT (NULLIF((CASE json_type(c.attributes, $14) WHEN 'text' THEN c.attributes ->> $14 WHEN 'null' THEN NULL ELSE c.attributes -> $14 END), '') = 'true'))) END))
  AND ((kaeru_moment(NULLIF((CASE json_type(c.attributes, $15) WHEN 'text' THEN c.attributes ->> $15 WHEN 'null' THEN NULL ELSE c.attributes -> $15 END), ''), $16) < (CAST($4 AS BIGINT) + CAST($17 AS BIGINT)))) IS NOT TRUE

SELECT COUNT(*) FROM customers WHERE ns = $1

-- $1: string shop
-- $2: float64 2
-- $3: float64 39745.2
-- $4: int64 1782896400000
-- $5: int64 2592000000
-- $6: string $."rank"
-- $7: string gold
-- $8: string silver
-- $9: string $."points"
-- $10: float64 20.5
-- $11: string @example.com
-- $12: string $."名"
-- $13: string 花
-- $14: string $."vip"
-- $15: string $."trial_ends"
-- $16: string Asia/Tokyo
-- $17: int64 604800000

WITH t1 AS MATERIALIZED (
  SELECT o.customer_id, CAST(SUM(o.total) AS BIGINT) AS amount FROM orders o WHERE o.ns = $1 AND o.placed_at > $2 AND o.counted = 1 GROUP BY +o.customer_id
)
SELECT b.customer_id AS id
FROM (SELECT o.customer_id FROM t1 o WHERE o.amount >= (SELECT o.amount FROM t1 o ORDER BY o.amount DESC LIMIT 1 OFFSET (SELECT ($3 * COUNT(*) - 1) / 1000000 FROM t1 o))) b JOIN metrics m ON m.ns = $1 AND m.customer_id = b.customer_id
WHERE TRUE
  AND (m.last_order_at > $4 AND m.orders = 2 AND m.previous_order_at > m.last_order_at - $5 OR m.last_order_at > $4 AND m.orders >= 3 AND m.previous_order_at > m.last_order_at - $5 OR m.last_order_at > $4 AND m.previous_order_at <= m.last_order_at - $5)

SELECT COUNT(*) FROM metrics WHERE ns = $1

-- $1: string shop
-- $2: int64 1775120400000
-- $3: int64 25000
-- $4: int64 1772528400000
-- $5: int64 10368000000

SELECT m.customer_id AS id
FROM metrics m
WHERE m.ns = $1
  AND m.customer_id NOT IN (SELECT o.customer_id FROM orders o WHERE o.ns = $1 AND o.status IN ($2))
  AND m.customer_id NOT IN (SELECT o.customer_id FROM orders o WHERE o.ns = $1 AND +o.placed_at > $3 AND o.counted = 1 GROUP BY o.customer_id HAVING CAST(SUM(o.total) AS BIGINT) > $4)
  AND (m.last_order_at IS NULL) IS NOT TRUE

SELECT COUNT(*) FROM metrics WHERE ns = $1

-- $1: string shop
-- $2: string cancelled
-- $3: int64 1751360400000
-- $4: int64 10000000

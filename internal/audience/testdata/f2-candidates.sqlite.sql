SELECT m.customer_id AS id
FROM metrics m CROSS JOIN customers c ON c.ns = $1 AND c.id = m.customer_id
WHERE m.ns = $1
  AND (m.orders = $2)
  AND (m.last_order_at <= $3)
  AND (m.orders > 0 AND m.spend >= $4)
  AND (((c.reach & 2) <> 0) OR ((c.reach & 1) <> 0))

SELECT COUNT(*) FROM metrics WHERE ns = $1

-- $1: string shop
-- $2: int64 1
-- $3: int64 1780304400000
-- $4: sql.NullInt64 {0 false}

SELECT b.customer_id AS id
FROM (SELECT o.customer_id FROM orders o WHERE o.ns = $1 AND o.placed_at > $2 AND o.counted = 1 AND o.source IN ($3) AND o.total >= $4 AND EXISTS (SELECT i.order_id FROM order_items i WHERE i.ns = $1 AND i.order_id = o.id AND i.category IN ($5)) GROUP BY +o.customer_id HAVING COUNT(*) > $6) b JOIN metrics m ON m.ns = $1 AND m.customer_id = b.customer_id
WHERE TRUE
  AND (m.spend / NULLIF(m.orders, 0) >= $7)
  AND (m.last_order_at > $8) IS NOT TRUE
  AND b.customer_id NOT IN (SELECT o.customer_id FROM memberships o WHERE o.ns = $1 AND o.segment = $9)

SELECT COUNT(*) FROM metrics WHERE ns = $1

-- $1: string shop
-- $2: int64 1775120400000
-- $3: string web
-- $4: int64 30000000
-- $5: string tea
-- $6: int64 1
-- $7: int64 50000000
-- $8: int64 1781168400000
-- $9: string staff

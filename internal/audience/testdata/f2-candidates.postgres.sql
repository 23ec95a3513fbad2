SELECT m.customer_id AS id
FROM metrics m JOIN customers c ON c.ns = $1 AND c.id = m.customer_id
WHERE m.ns = $1
  AND (m.orders = $2)
  AND (m.last_order_at <= $3)
  AND (m.orders > 0 AND m.spend >= (SELECT b.spend FROM metrics b WHERE b.ns = $1 AND b.orders > 0 ORDER BY b.spend DESC LIMIT 1 OFFSET (SELECT ($4 * COUNT(*) - 1) / 1000000 FROM metrics b WHERE b.ns = $1 AND b.orders > 0)))
  AND ((c.line_user_id <> ''
    AND EXISTS (SELECT 1 FROM consents k WHERE k.ns = $1 AND k.customer_id = c.id AND k.channel = $5 AND k.state = $6)
    AND NOT EXISTS (SELECT 1 FROM suppressions x WHERE x.ns = $1 AND x.channel = $5 AND x.address = c.line_user_id)) OR (c.email <> ''
    AND EXISTS (SELECT 1 FROM consents k WHERE k.ns = $1 AND k.customer_id = c.id AND k.channel = $7 AND k.state = $6)
    AND NOT EXISTS (SELECT 1 FROM suppressions x WHERE x.ns = $1 AND x.channel = $7 AND x.address = c.email)))

SELECT COUNT(*) FROM metrics WHERE ns = $1

-- $1: string shop
-- $2: int64 1
-- $3: int64 1780304400000
-- $4: int64 300000
-- $5: string line
-- $6: string granted
-- $7: string email

SELECT c.id AS id
FROM customers c
WHERE c.ns = $1
  AND ((SUBSTR((c.attributes ->> $2), 6, 5) IN (SELECT value FROM json_each($3)) AND SUBSTR(kaeru_day(NULLIF((CASE json_type(c.attributes, $2) WHEN 'text' THEN c.attributes ->> $2 WHEN 'null' THEN NULL ELSE c.attributes -> $2 END), ''), $4), 6, 5) IN (SELECT value FROM json_each($5))) OR ((kaeru_number(NULLIF((CASE json_type(c.attributes, $6) WHEN 'text' THEN c.attributes ->> $6 WHEN 'null' THEN NULL ELSE c.attributes -> $6 END), '')) BETWEEN $7 AND $8) AND (kaeru_day(NULLIF((CASE json_type(c.attributes, $9) WHEN 'text' THEN c.attributes ->> $9 WHEN 'null' THEN NULL ELSE c.attributes -> $9 END), ''), $4) > $10) AND NULLIF(c.email, '') IS NOT NULL))
  AND (NOT (NULLIF((c.attributes ->> $11), '') IN ($12, $13))) IS NOT TRUE

SELECT COUNT(*) FROM customers WHERE ns = $1

-- $1: string shop
-- $2: string $."birthday"
-- $3: string ["06-29","06-30","07-01","07-02","07-03","07-04","07-05","07-06","07-07","07-08","07-09","07-10"]
-- $4: string Asia/Tokyo
-- $5: string ["07-01","07-02","07-03","07-04","07-05","07-06","07-07","07-08"]
-- $6: string $."age"
-- $7: float64 20
-- $8: float64 29.5
-- $9: string $."joined"
-- $10: string 2025-12-31
-- $11: string $."prefecture"
-- $12: string 東京都
-- $13: string 大阪府

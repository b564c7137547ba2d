CREATE TABLE main.default.orders (
  order_id BIGINT NOT NULL COMMENT 'counted from 1',
  customer VARCHAR(64) NOT NULL,
  placed_at TIMESTAMP NOT NULL,
  ship_on DATE,
  total DECIMAL(12,2) COMMENT 'in the currency of the customer',
  currency CHAR(3),
  gift BOOLEAN,
  line_items ARRAY<STRUCT<sku: STRING NOT NULL, quantity: INT, unit_price: DECIMAL(12,2)>>,
  labels MAP<STRING, STRING>,
  ship_to STRUCT<street: STRING, zip: STRING, city: STRING, country: CHAR(2)>,
  raw VARIANT COMMENT 'as the shop sent it'
) USING DELTA
PARTITIONED BY (ship_on);

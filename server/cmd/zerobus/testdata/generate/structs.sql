CREATE TABLE main.types.structs (
  id BIGINT NOT NULL,
  address STRUCT<
    street: STRING COMMENT 'with the number',
    zip: INT NOT NULL,
    place: STRUCT<city: STRING, country: STRUCT<code: CHAR(2), name: STRING>>
  > COMMENT 'where it goes',
  lines ARRAY<STRUCT<sku: STRING NOT NULL, n: INT, price: DECIMAL(10,2), attributes: MAP<STRING, STRING>>>,
  visits MAP<STRING, STRUCT<at: TIMESTAMP, pages: ARRAY<STRING>>>
) USING DELTA
PARTITIONED BY (id)
COMMENT 'structs in everything'
TBLPROPERTIES ('delta.appendOnly' = 'true');

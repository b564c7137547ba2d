CREATE TABLE main.types.maps (
  by_text MAP<STRING, STRING>,
  by_bool MAP<BOOLEAN, INT>,
  by_tiny MAP<TINYINT, BIGINT>,
  by_long MAP<BIGINT, DOUBLE>,
  by_day MAP<DATE, DECIMAL(18,4)>,
  by_moment MAP<TIMESTAMP, BINARY>,
  by_amount MAP<DECIMAL(5,0), TIMESTAMP_NTZ>,
  by_name MAP<VARCHAR(10), STRUCT<n: INT, since: DATE>>
) USING DELTA;

CREATE TABLE main.types.arrays (
  flags ARRAY<BOOLEAN>,
  numbers ARRAY<INT>,
  days ARRAY<DATE>,
  prices ARRAY<DECIMAL(10,2)>,
  codes ARRAY<CHAR(2)>,
  blobs ARRAY<BINARY>,
  documents ARRAY<VARIANT>,
  points ARRAY<STRUCT<x: DOUBLE, y: DOUBLE>>
) USING DELTA;

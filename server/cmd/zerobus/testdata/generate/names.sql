-- Names that mean something to protobuf, look like those that it makes, or come out alike.
CREATE TABLE main.types.names (
  message STRING,
  `to` INT,
  optional BOOLEAN,
  syntax STRING,
  string STRING,
  int32 INT,
  names STRUCT<names: INT>,
  _ STRUCT<a: INT>,
  _1 STRUCT<a: INT>,
  x_y STRUCT<a: INT>,
  xY STRUCT<b: INT>,
  X__y STRUCT<c: STRUCT<X: INT>>,
  Tags STRUCT<a: INT>,
  tags_entry STRUCT<a: INT>,
  tag MAP<STRING, INT>,
  tagEntry STRUCT<a: INT>
) USING DELTA;

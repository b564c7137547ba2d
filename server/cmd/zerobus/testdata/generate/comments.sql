CREATE TABLE main.types.comments (
  plain STRING COMMENT 'one line',
  lines STRING COMMENT 'the first line
the second line

the fourth, after an empty one',
  quotes STRING COMMENT 'it''s "quoted", and a \\ backslash',
  ends STRING COMMENT 'ends here? */ } message X {} // no',
  foreign STRING COMMENT 'température en °C — 温度',
  spaces STRING COMMENT '  indented	with a tab ',
  day DATE COMMENT 'DATE: of the order',
  nested STRUCT<a: INT COMMENT 'of a member', b: DATE COMMENT 'of another'> COMMENT 'of the struct',
  list ARRAY<DATE> COMMENT 'of a list'
) USING DELTA;

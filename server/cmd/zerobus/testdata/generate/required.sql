create table required (
  id bigint not null,
  at timestamp not null comment 'when it was measured',
  value double,
  -- A list or a map is never required: empty and absent are one in protobuf.
  tags array<string> not null,
  counts map<string, bigint> not null,
  place struct<city: string not null, zip: int> not null
)

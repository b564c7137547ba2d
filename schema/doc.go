// Package schema describes tables: the types of Delta columns, their written forms, and the protobuf messages that their
// records are. It takes the text of a type (`array<int>`), the JSON of a Delta schema, a CREATE TABLE statement, a protobuf
// descriptor or a .proto file, and gives one typed [Struct]; and back.
//
//	DDL         CREATE TABLE c.s.t (id BIGINT NOT NULL)    ParseCreateTable; CreateTable.DDL, Type.DDL
//	text        bigint, array<string>                      ParseType; Type.String
//	JSON        {"type":"struct","fields":[…]}             Struct.UnmarshalJSON; Struct.MarshalJSON
//	descriptor  google.protobuf.DescriptorProto            FromDescriptor; Struct.Descriptor
//	.proto      message M { required int64 id = 1; }       ParseProto and FromMessage; Struct.Proto and FormatProto
//
// [Check] compares the descriptor of a stream's records with a table before the server does. An [Encoder] makes protobuf
// records of JSON ones.
//
// It is a pure library: no I/O, no clock, no goroutine, and nothing but the standard library and protobuf's underneath. Values
// are plain data; do not change one that others read.
//
// The forms of types are those of Spark: https://github.com/delta-io/delta/blob/master/PROTOCOL.md#schema-serialization-format.
// The field of a column is what Databricks' own tools make of it: https://github.com/databricks/zerobus-sdk-py.
package schema

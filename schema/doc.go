// Package schema describes tables: the types of Delta columns and their three written forms. It takes the text of a type
// (`array<int>`), the JSON of a Delta schema or a CREATE TABLE statement, and gives one typed [Struct]; and back.
//
//	DDL      CREATE TABLE c.s.t (id BIGINT NOT NULL, tags ARRAY<STRING>)   ParseCreateTable, CreateTable.DDL, Type.DDL
//	text     bigint, array<string>                                         ParseType, Type.String
//	JSON     {"type":"struct","fields":[…]}                                Struct.MarshalJSON, Struct.UnmarshalJSON
//
// It is a pure library: no I/O, no clock, no goroutine, and nothing but the standard library underneath. Values are plain
// data; do not change one that others read.
//
// The forms are those of Spark: https://github.com/delta-io/delta/blob/master/PROTOCOL.md#schema-serialization-format.
package schema

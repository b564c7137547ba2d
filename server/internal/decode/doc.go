// Package decode is stage 3: takes raw records, protobuf or JSON, gives rows of a [column.Chunk], never a row that the table
// does not allow. Checking and laying out are one pass: a record that is accepted has been decoded.
//
// A [Decoder] is compiled once per stream, by [NewProto] from the client's descriptor and the table, or by [NewJSON] from the
// table alone.
//
//	decoder.go           the interface and the refusal of a record
//	misfit.go            the refusal of a descriptor
//	target.go            what a column takes, whatever the encoding
//	budget.go            what a record may make of few bytes
//	decimal.go           decimals as the chunk holds them, and why one was refused
//	descriptor.go        a DescriptorProto, as far as it is needed
//	descriptor_types.go  the messages and enums in it, by name
//	enum.go              the values of enums
//	proto_plan.go        the plan of a message: a table of operations
//	proto_compile.go     descriptor and table to a tree of plans
//	proto.go             one protobuf record to one row
//	proto_straight.go    the fields of a message that is as usual
//	proto_value.go       one value of protobuf to one column, and why one was refused
//	proto_nested.go      structs and arrays
//	proto_map.go         maps
//	wire.go              varints and fields to skip
//	json_plan.go         table to a tree of plans
//	json.go              one JSON record to one row
//	json_value.go        one JSON value to one column
//	json_number.go       JSON numbers
//	json_nested.go       structs, arrays, maps and variants
//	json_key.go          keys of maps, and those that a map has twice
//
// Texts and numbers of JSON are read by package jsonscan, decimals by package decimal, which the client's encoder shares; the
// text of a VARIANT becomes one in package variant.
//
// # The rules
//
// The table is the contract. A column that is NOT NULL needs a value in every record; any other column without one is NULL.
// Nothing is coerced and nothing is rounded but decimal text on its way to a binary float, which becomes the nearest one.
//
// Protobuf fields and columns meet by name; field numbers are the client's affair. An absent field is NULL, whatever the
// default of its syntax. A field that the descriptor does not know is skipped. Of several values of one field, or of one
// oneof, the last counts, and only that one is held against the column; what breaks the encoding itself (a truncated field,
// a wrong wire type, text that is not UTF-8) refuses the record wherever it stands. DECIMAL comes as text, DATE as days,
// TIMESTAMP as microseconds. Any integer kind may feed any integer column; values out of its range are refused.
//
// A message feeds a STRUCT, a repeated field an ARRAY, packed or not, a map a MAP, a string with JSON text a VARIANT. All that is
// said of fields and columns holds at every level. Messages of one field merge: what the later one has takes the place of the
// same field or is added to its lists. The elements of a repeated field are messages of their own, which do not. Of entries with
// the same key, which is the same value in the column, the last counts; a key or value that an entry lacks is the default of its
// type, and that of a message is an empty one. Protobuf does not tell an empty repeated field or map from an absent one: it is NULL,
// or empty where the column is NOT NULL. Elements are never NULL. Protobuf has no array or map in an array or map.
//
// A JSON record is one object. Keys match in exact case; unknown and repeated keys are refused. Integers are written without
// fraction, exponent or quotes. DATE is days, TIMESTAMP microseconds, BINARY base64 in the standard alphabet with padding,
// DECIMAL a string or a number; its digits behind the point may exceed the scale only by zeros. Strings are valid UTF-8,
// surrogates come in pairs, control characters are escaped. NaN, infinities and numbers beyond the range of a float column
// are refused.
//
// A STRUCT is an object by the rules of the record, an ARRAY an array. A MAP is an object whose keys are the text of the key: a
// string as it is, DECIMAL and BINARY as in a string, integers, dates, times, booleans and floats as JSON writes them, without a
// sign before zero. A key is refused that says a value which the map has, in whatever words. A table whose keys have no text,
// because they are no scalars, has no JSON decoder. A VARIANT is a string with JSON text and nothing else.
//
// # Concurrency
//
// A Decoder belongs to one goroutine. The table and the descriptor are only read, and only while it is made.
//
// # Failure
//
// [*RecordError] says which field of which kind was refused and why; the chunk is then as it was before the record. The
// accepting path does not allocate, except where a column's memory grows. Input never panics, and what is kept of it in an
// error is short.
package decode

// Package decode is stage 3: takes raw records, protobuf or JSON, gives rows of a [column.Chunk], never a row that the table
// does not allow. Checking and laying out are one pass: a record that is accepted has been decoded.
//
// A [Decoder] is compiled once per stream, by [NewProto] from the client's descriptor and the table, or by [NewJSON] from the
// table alone.
//
//	decoder.go      the interface and the refusal of a record
//	misfit.go       the refusal of a descriptor
//	target.go       what a column takes, whatever the encoding
//	decimal.go      decimals as the chunk holds them, and why one was refused
//	descriptor.go   a DescriptorProto, as far as it is needed
//	enum.go         the enums in it, by name
//	proto_plan.go   descriptor and table to a table of operations
//	proto.go        one protobuf record to one row
//	proto_value.go  the rarer values of protobuf, and why one was refused
//	wire.go         varints and fields to skip
//	json.go         one JSON record to one row
//	json_value.go   one JSON value to one column
//	json_number.go  JSON numbers
//
// Texts and numbers of JSON are read by package jsonscan, decimals by package decimal, which the client's encoder shares.
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
// A JSON record is one object. Keys match in exact case; unknown and repeated keys are refused. Integers are written without
// fraction, exponent or quotes. DATE is days, TIMESTAMP microseconds, BINARY base64 in the standard alphabet with padding,
// DECIMAL a string or a number; its digits behind the point may exceed the scale only by zeros. Strings are valid UTF-8,
// surrogates come in pairs, control characters are escaped. NaN, infinities and numbers beyond the range of a float column
// are refused.
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

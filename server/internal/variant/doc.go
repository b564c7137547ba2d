// Package variant is the form of VARIANT values: takes JSON text, gives the two byte strings of Parquet's variant encoding,
// metadata and value, and reads them back as text. It never gives bytes for text that is not JSON.
//
//	append.go   JSON text to metadata and value
//	number.go   JSON numbers to integers, decimals and doubles
//	names.go    the keys of one text
//	text.go     metadata and value to JSON text
//	inspect.go  what is looked at before bytes of others are read
//
// The format is https://github.com/apache/parquet-format/blob/master/VariantEncoding.md, version 1, and is written by package
// variant of parquet-go.
//
// # The rules
//
// The text is one JSON value as RFC 8259 has it, with no extension: valid UTF-8, surrogates in pairs. Arrays and objects are
// nested at most [MaxDepth] levels deep, and no object has a key twice. The same text gives the same bytes: the dictionary in the
// metadata has each key once, in the order of their bytes.
//
//	null, true, false   themselves
//	string              a string
//	12                  the smallest of int8, int16, int32 and int64 that holds it; beyond, a decimal of up to 38 digits
//	1.50                the decimal with the digits as they are written: up to 38 of them, and up to 38 behind the point; of more,
//	                    zeros at the end do not count
//	1.5e3               the nearest double
//
// A number without exponent that is no such decimal is a double if one is exactly the number, and is refused if none is: only an
// exponent says that a number may be rounded. A number beyond the range of a double is refused. Zero has a sign as a double only.
//
// Metadata and value are each at most [MaxSize] long: Spark reads no more.
//
// # Concurrency
//
// [Append] and [JSON] are functions of their arguments. An [Encoder] belongs to one goroutine.
//
// # Failure
//
// Text that is refused has a short reason, and nothing is appended. Input never panics. Once an Encoder has seen a few texts it
// allocates only where the destination has too little room, and for long numbers and long texts.
package variant

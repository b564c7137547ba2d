// Package sqltext cuts the text of SQL statements into tokens: takes the text, gives words, quoted identifiers, strings,
// numbers and symbols with their line and column. It knows no statement; those who parse one ([schema.ParseCreateTable],
// the server's catalog) read tokens from a [Scanner].
//
// The dialect is the part of Spark SQL that table definitions and grants use: `--` and `/* */` comments, identifiers in
// backticks (a doubled backtick stands for one), words that may begin with a digit, strings in single or double quotes with
// backslash escapes and doubled quotes.
//
// Concurrency: a Scanner belongs to one goroutine. Failure: the first bad character ends the scan; Err tells where.
package sqltext

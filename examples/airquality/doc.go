// Package airquality is what the examples have in common: the message of a record, generated from air_quality.proto, and where
// to send it, from the environment.
//
// To generate the message again:
//
//	protoc -I . --go_out=. --go_opt=paths=source_relative air_quality.proto
package airquality

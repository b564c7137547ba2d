package main

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// The table. A payload begins with the record's stream and number and goes on with some x, whose number has the same
// remainder as that of the record: a record with the payload of another one, or with a part of its own, is noticed. Of
// what is left the reader makes nothing, so the rest of the length is free. interop/blackbox.py knows this, too.
const (
	tableName   = "main.default.blackbox"
	createTable = "CREATE TABLE " + tableName + " (stream INT NOT NULL, n BIGINT NOT NULL, life INT, payload STRING) USING DELTA"
	fillPrime   = 61
)

var filling = strings.Repeat("x", 128*fillPrime)

// appendRecord appends record n of a stream as JSON. life is that of the server; rounds makes the payload longer by 61
// characters each, up to 126 times.
func appendRecord(b []byte, stream int, n int64, life, rounds int) []byte {
	b = append(b, `{"stream":`...)
	b = strconv.AppendInt(b, int64(stream), 10)
	b = append(b, `,"n":`...)
	b = strconv.AppendInt(b, n, 10)
	b = append(b, `,"life":`...)
	b = strconv.AppendInt(b, int64(life), 10)
	b = append(b, `,"payload":"`...)
	b = appendPayload(b, int64(stream), n, rounds)
	return append(b, `"}`...)
}

func appendPayload(b []byte, stream, n int64, rounds int) []byte {
	b = strconv.AppendInt(b, stream, 10)
	b = append(b, '.')
	b = strconv.AppendInt(b, n, 10)
	b = append(b, '.')
	return append(b, filling[:n%fillPrime+int64(rounds)*fillPrime]...)
}

// checkPayload reports whether the payload is one of the record.
func checkPayload(payload string, stream, n int64) bool {
	want := appendPayload(nil, stream, n, 0)
	rest, ok := strings.CutPrefix(payload, string(want))
	return ok && len(rest)%fillPrime == 0 && strings.Trim(rest, "x") == ""
}

// newRounds is how long a payload is: most are short, one in a hundred is up to 8 KB, and all are long while the log has to
// be filled.
func newRounds(r *rand.Rand, bulk bool) int {
	switch n := r.IntN(100); {
	case bulk:
		return 40 + r.IntN(80)
	case n < 80:
		return 0
	case n < 99:
		return r.IntN(4)
	}
	return r.IntN(126)
}

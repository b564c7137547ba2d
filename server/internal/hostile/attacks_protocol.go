package main

import (
	"bytes"
	"errors"
	"math"
	"strings"

	"github.com/zerobus-go/zerobus/internal/wire"
	"google.golang.org/protobuf/encoding/protowire"
)

// ingest is an ingest_record whose offset is as it stands, also when it is none.
func ingest(offset *int64, fields ...[]byte) []byte {
	var b []byte
	if offset != nil {
		b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), uint64(*offset))
	}
	return part(nil, 2, append(b, bytes.Join(fields, nil)...))
}

func jsonField(record string) []byte { return part(nil, 3, []byte(record)) }

func protoField(record []byte) []byte { return part(nil, 2, record) }

// groups are n groups of field 99 in one another.
func groups(n int) []byte {
	b := bytes.Repeat(protowire.AppendTag(nil, 99, protowire.StartGroupType), n)
	return append(b, bytes.Repeat(protowire.AppendTag(nil, 99, protowire.EndGroupType), n)...)
}

var protocolAttacks = []attack{
	{name: "protocol: wrong beginnings", run: func(t *trial) {
		p := t.peer()
		for _, tt := range []struct {
			what, want string
			message    []byte
		}{
			{"records first", "grpc InvalidArgument .*create_stream", one(0, bad(0))},
			{"a batch first", "grpc InvalidArgument .*create_stream", batch(0, wire.JSON, []byte(bad(0)))},
			{"an empty request", "grpc InvalidArgument .*create_stream", nil},
			{"an unknown request", "grpc InvalidArgument", part(nil, 77, []byte("x"))},
			{"garbage", "grpc InvalidArgument .*cannot be read", []byte{0xff, 0xff, 0xff}},
			{"a truncated create_stream", "grpc InvalidArgument .*cannot be read", createJSON(targetTable)[:10]},
			{"field number 0", "grpc InvalidArgument .*cannot be read", []byte{0x02, 0x00}},
			{"wire type 7", "grpc InvalidArgument .*cannot be read", []byte{0x0f}},
			{"1,000 groups in one another", "grpc InvalidArgument", groups(1000)},
			{"100,000 groups in one another", "grpc InvalidArgument", groups(100_000)},
			{"no table", "grpc InvalidArgument", createJSON("")},
			{"another table than the header's", "grpc InvalidArgument .*is not the table", createJSON(strictTable)},
			{"no such table", "grpc InvalidArgument .*is not the table", createJSON("main.default.nothing")},
			{"a table name of 1 MiB", "grpc InvalidArgument", createJSON(strings.Repeat("a", 1<<20))},
			{"a table name that is a path", "grpc InvalidArgument", createJSON("main.default.../../etc/passwd")},
			{"a table name with NUL", "grpc InvalidArgument", createJSON("main.default.target\x00")},
			{"a table name that is not UTF-8", "grpc InvalidArgument", createJSON("main.default.\xff\xfe")},
			{"unspecified record type", "grpc InvalidArgument .*[Rr]ecord type", wire.AppendCreateStream(nil, wire.CreateStream{Table: targetTable, HasType: true})},
			{"record type 4, Avro", "grpc InvalidArgument .*not supported", wire.AppendCreateStream(nil, wire.CreateStream{Table: targetTable, Type: 4, HasType: true})},
			{"record type -1", "grpc InvalidArgument", wire.AppendCreateStream(nil, wire.CreateStream{Table: targetTable, Type: -1, HasType: true})},
			{"protobuf without a descriptor", "grpc InvalidArgument .*descriptor", createProto(targetTable, nil)},
		} {
			t.refuse(tt.what, t.ends(t.call(p, t.token, targetTable), false, tt.message), tt.want)
		}
		t.refuse("nothing and the end", t.ends(t.call(p, t.token, targetTable), true), "grpc InvalidArgument .*create_stream")
		for _, header := range []string{"main.default.target; DROP TABLE main.default.control", "../../etc/passwd", "main..target", "`main`.`default`.`target`", "маin.default.target"} {
			t.refuse("header "+header, t.ends(t.call(p, t.token, header), false, createJSON(header)), "grpc (InvalidArgument|PermissionDenied)")
		}
	}},
	{name: "protocol: order of messages", run: func(t *trial) {
		p := t.peer()
		for _, tt := range []struct {
			what, want string
			messages   [][]byte
		}{
			{"a second create_stream", "grpc InvalidArgument .*expected ingest", [][]byte{createJSON(targetTable)}},
			{"a create_stream after records", "grpc InvalidArgument .*expected ingest", [][]byte{one(0, good(0)), createJSON(targetTable), one(1, bad(1))}},
			{"protobuf on a stream of JSON", "grpc InvalidArgument .*came on a stream", [][]byte{single(0, wire.Proto, goodProto(0))}},
			{"a batch of protobuf on a stream of JSON", "grpc InvalidArgument", [][]byte{batch(0, wire.Proto, goodProto(0))}},
			{"an empty request", "grpc InvalidArgument", [][]byte{one(0, good(0)), nil}},
			{"a batch of nothing", "grpc InvalidArgument .*no records", [][]byte{batch(0, wire.JSON)}},
			{"a batch that is none", "grpc InvalidArgument .*no records", [][]byte{part(nil, 3, []byte{8, 0})}},
			{"no record", "grpc InvalidArgument .*no records", [][]byte{ingest(new(int64))}},
			{"a truncated batch", "grpc InvalidArgument", [][]byte{batch(0, wire.JSON, []byte(bad(0)))[:20]}},
			{"first_record without a producer", "grpc InvalidArgument .*first_record", [][]byte{append(wire.AppendFirstRecord(nil, 0), one(0, bad(0))...)}},
		} {
			t.refuse(tt.what, t.ends(t.stream(p, targetTable), false, tt.messages...), tt.want)
		}
		t.take("records in both encodings: the last counts", t.ends(t.stream(p, targetTable), true, ingest(new(int64), protoField(goodProto(1)), jsonField(good(1)))), "grpc OK")
		t.take("a thousand unknown fields", t.ends(t.stream(p, targetTable), true, append(bytes.Repeat(part(nil, 99, []byte("x")), 1000), one(0, good(0))...)), "grpc (OK|InvalidArgument)")
		// The client goes away amid a batch: nothing of it may be kept.
		c := t.stream(p, targetTable)
		if c == nil {
			return
		}
		b := frame(0, batch(0, wire.JSON, []byte(bad(0)), []byte(bad(1))))
		if err := c.send(t.ctx, b[:len(b)-3], true); err != nil {
			t.fault("%v", err)
		}
		ctx, cancel := t.soon()
		defer cancel()
		t.refuse("the end amid a batch", c.outcome(ctx), "grpc (Internal|InvalidArgument|Unknown|Unavailable)")
	}},
	{name: "protocol: offsets", run: func(t *trial) {
		p := t.peer()
		const refusal = "grpc InvalidArgument .*Non-incremental offset"
		for _, offset := range []int64{1, 2, -1, math.MaxInt64, math.MinInt64, 1 << 32, 1 << 53} {
			t.refuse("the first offset is wrong", t.ends(t.stream(p, targetTable), false, one(offset, bad(0))), refusal)
			t.refuse("the first batch's offset is wrong", t.ends(t.stream(p, targetTable), false, batch(offset, wire.JSON, []byte(bad(0)))), refusal)
		}
		for what, offset := range map[string]int64{"repeated": 1, "first again": 0, "skipped": 3, "negative": -2, "largest": math.MaxInt64} {
			t.refuse("an offset is "+what, t.ends(t.stream(p, targetTable), false, one(0, good(0)), one(1, good(1)), one(offset, bad(2))), refusal)
		}
		t.refuse("no offset", t.ends(t.stream(p, targetTable), false, ingest(nil, jsonField(bad(0)))), refusal)
		// What comes after the fault is nobody's.
		messages := [][]byte{one(0, good(0)), one(7, bad(1))}
		for i := range int64(1000) {
			messages = append(messages, one(i+1, bad(2)))
		}
		t.refuse("a thousand records after a wrong offset", t.ends(t.stream(p, targetTable), false, messages...), refusal)
	}},
	{name: "protocol: batches of nothing much", run: func(t *trial) {
		n := 1_000_000
		if t.cfg.quick {
			n = 100_000
		}
		p := t.peer()
		empty := wire.AppendRecord(nil, []byte("{}"))
		body := bytes.Repeat(empty, n)
		t.take("a million empty records", t.ends(t.stream(p, targetTable), true, append(wire.AppendBatchPrefix(nil, 0, wire.JSON, len(body)), body...)), "grpc OK")
		body = bytes.Repeat(wire.AppendRecord(nil, nil), 5_000_000)
		t.refuse("5 million records of no byte", t.ends(t.stream(p, targetTable), false, append(wire.AppendBatchPrefix(nil, 0, wire.JSON, len(body)), body...)), "grpc InvalidArgument .*4044")
		c := t.created(t.call(p, t.token, wideTable), createProto(wideTable, messageOf("W", fieldOf("n", 1, optional, typeInt64, ""))))
		t.refuse("5 million records of no byte for a table of 1,000 columns", t.ends(c, false, append(wire.AppendBatchPrefix(nil, 0, wire.Proto, len(body)), body...)), "grpc InvalidArgument .*too large")
		// Every record begins another column, which pads it with all rows before.
		var wide []byte
		for i := range wideColumns {
			wide = append(wide, bytes.Repeat(empty, 2000)...)
			wide = wire.AppendRecord(wide, []byte(`{"text":"`+marker+`","c`+itoa(i)+`":1}`))
		}
		t.refuse("columns that begin late", t.ends(t.stream(p, wideTable), false, append(wire.AppendBatchPrefix(nil, 0, wire.JSON, len(wide)), wide...)), "grpc (InvalidArgument)")
	}},
	{name: "protocol: random requests", run: func(t *trial) {
		// Bytes changed in requests that are in order. Whatever comes of it, an answer comes, and it is none of a bug's.
		seeds := [][]byte{one(0, bad(0)), batch(0, wire.JSON, []byte(bad(0)), []byte(bad(1))), createJSON(targetTable), createProto(targetTable, targetDescriptor())}
		p := t.peer()
		for i := range t.size(3000) {
			m := bytes.Clone(seeds[i%len(seeds)])
			at := (i * 7) % len(m)
			m[at] ^= byte(1 + i%255)
			if i%5 == 0 {
				m = m[:at]
			}
			var got string
			if i%len(seeds) < 2 {
				if bytes.Contains(m, []byte(marker)) {
					m = bytes.ReplaceAll(m, []byte(marker), []byte(strings.Repeat("m", len(marker)))) // it may be a record after all
				}
				got = t.ends(t.stream(p, targetTable), true, m)
			} else {
				got = t.ends(t.call(p, t.token, targetTable), true, m)
			}
			t.take("a changed request", got, "grpc (OK|InvalidArgument|PermissionDenied)")
		}
	}},
}

var recordAttacks = []attack{
	{name: "records: JSON", run: func(t *trial) {
		p := t.peer()
		const refusal = "grpc InvalidArgument .*4044"
		m := `"text":"` + marker + `"`
		for what, record := range map[string]string{
			"nothing": "", "space": " \n\t ", "no object": `"` + marker + `"`, "a list": `[{` + m + `}]`, "null": "null", "two objects": `{` + m + `}{` + m + `}`,
			"truncated": `{` + m, "an unknown column": `{` + m + `,"evil":1}`, "a column twice": `{` + m + `,"n":1,"n":2}`, "a column twice, escaped": `{` + m + `,"n":1,"\u006e":2}`,
			"another case": `{` + m + `,"N":1}`, "a comma at the end": `{` + m + `,}`, "a comment": `{` + m + `/* */}`, "NaN": `{` + m + `,"d":NaN}`, "Infinity": `{` + m + `,"d":-Infinity}`,
			"a huge number": `{` + m + `,"d":1e400}`, "a huge exponent": `{` + m + `,"d":1e999999999999}`, "a huge float": `{` + m + `,"f":1e39}`,
			"a million digits for a BIGINT": `{` + m + `,"n":` + strings.Repeat("9", 1_000_000) + `}`, "2^63": `{` + m + `,"n":9223372036854775808}`, "-2^63-1": `{` + m + `,"n":-9223372036854775809}`,
			"a fraction for a BIGINT": `{` + m + `,"n":1.0}`, "an exponent for a BIGINT": `{` + m + `,"n":1e2}`, "leading zeros": `{` + m + `,"n":007}`, "a plus": `{` + m + `,"n":+1}`, "hexadecimal": `{` + m + `,"n":0x10}`,
			"128 for a TINYINT": `{` + m + `,"t":128}`, "text for a BIGINT": `{` + m + `,"n":"1"}`, "an object for a STRING": `{"n":1,"text":{"a":"` + marker + `"}}`,
			"100,000 lists in one another": `{` + m + `,"n":` + nested("[", 100_000) + `}`, "100,000 objects in one another": `{` + m + `,"n":` + nested(`{"a":`, 100_000) + `}`,
			"lists in an unknown column": `{"evil":` + nested("[", 1_000_000) + strings.Repeat("]", 1_000_000) + `}`,
			"not UTF-8":                  `{"text":"` + marker + "\xff\xc0\"}", "an overlong NUL": `{"text":"` + marker + "\xc0\x80\"}", "half a surrogate": `{"text":"` + marker + `\ud800"}`, "surrogates the wrong way": `{"text":"` + marker + `\udc00\ud800"}`,
			"a surrogate in UTF-8": `{"text":"` + marker + "\xed\xa0\x80\"}", "a control character": `{"text":"` + marker + "\x00\"}", "a wrong escape": `{"text":"` + marker + `\x41"}`, "an escape that ends": `{"text":"` + marker + `\u00"}`,
			"wrong base64": `{` + m + `,"b":"a"}`, "base64 of URLs": `{` + m + `,"b":"_-8="}`, "base64 with line breaks": `{` + m + `,"b":"YWJj\nYWJj"}`, "a decimal of 39 digits": `{` + m + `,"dec":"` + strings.Repeat("9", 39) + `"}`,
			"a decimal with a large exponent": `{` + m + `,"dec":"1e2147483647"}`, "a decimal of a million digits": `{` + m + `,"dec":` + strings.Repeat("1", 1_000_000) + `}`, "a date beyond INT": `{` + m + `,"dt":99999999999}`,
			"a timestamp beyond BIGINT": `{` + m + `,"ts":1e30}`, "a VARCHAR(8) of 9": `{` + m + `,"v":"123456789"}`, "a BOM": "\ufeff{" + m + `}`, "100,000 unknown columns": `{` + m + strings.Repeat(`,"evil":1`, 100_000) + `}`,
		} {
			t.refuse(what, t.ends(t.stream(p, targetTable), false, one(0, record)), refusal)
			t.refuse(what+", in a batch", t.ends(t.stream(p, targetTable), false, batch(0, wire.JSON, []byte(bad(1)), []byte(record))), refusal)
		}
		t.refuse("NULL for a NOT NULL column", t.ends(t.stream(p, strictTable), false, one(0, `{"n":null,`+m+`}`)), refusal)
		t.refuse("nothing for a NOT NULL column", t.ends(t.stream(p, strictTable), false, one(0, `{`+m+`}`)), refusal)
		for what, record := range map[string]string{
			"a STRING of 5 MiB": `{"text":"` + strings.Repeat("x", 5<<20) + `"}`, "a STRING of a million escapes": `{"text":"` + strings.Repeat(`\u0041`, 1_000_000) + `"}`,
			"SQL": `{"text":"'; DROP TABLE main.default.control; --"}`, "a path": `{"text":"../../../../etc/passwd"}`, "NUL, escaped": `{"text":"\u0000"}`, "right to left": `{"text":"\u202egnp.exe"}`,
			"the smallest number": `{"d":4.9e-324}`, "a number of many digits": `{"d":0.` + strings.Repeat("1", 100_000) + `}`,
		} {
			t.take(what, t.ends(t.stream(p, targetTable), true, one(0, record)), "grpc OK")
		}
	}},
	{name: "records: protobuf", run: func(t *trial) {
		p := t.peer()
		create := createProto(targetTable, targetDescriptor())
		text := part(nil, 2, []byte(marker))
		with := func(b ...byte) []byte { return append(bytes.Clone(text), b...) }
		const refusal = "grpc InvalidArgument .*4044"
		for what, record := range map[string][]byte{
			"a varint without end": with(0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), "a truncated varint": with(0x08, 0x80), "a truncated STRING": with(0x12, 0x7f, 'x'),
			"a length of 2^63": with(0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), "a length of 2^32": with(0x12, 0x80, 0x80, 0x80, 0x80, 0x10), "the wrong wire type": with(0x0d, 1, 2, 3, 4), "STRING as varint": with(0x10, 1),
			"not UTF-8": part(nil, 2, []byte(marker+"\xff")), "field number 0": with(0x00, 0x00), "field number 2^29": with(0x80, 0x80, 0x80, 0x80, 0x10, 0x00), "wire type 6": with(0x0e), "wire type 7": with(0x0f),
			"the end of a group that did not begin": with(0x0c), "a group without end": with(0x9b, 0x06), "ends of the wrong group": with(0x9b, 0x06, 0xa4, 0x06), "101 groups in one another": append(bytes.Clone(text), groups(101)...),
			"a million groups in one another": append(bytes.Clone(text), groups(1_000_000)...), "truncated fixed64": with(0x99, 0x06, 1, 2), "garbage": bytes.Repeat([]byte{0xff}, 1000),
		} {
			t.refuse(what, t.ends(t.created(t.call(p, t.token, targetTable), create), false, single(0, wire.Proto, record)), refusal)
			t.refuse(what+", in a batch", t.ends(t.created(t.call(p, t.token, targetTable), create), false, batch(0, wire.Proto, text, record)), refusal)
		}
		for what, record := range map[string][]byte{
			"nothing": nil, "unknown fields": append(goodProto(1), bytes.Repeat(part(nil, 99, []byte("x")), 10_000)...), "100 groups in one another": append(goodProto(1), groups(100)...),
			"a field a million times": bytes.Repeat([]byte{0x08, 0x01}, 1_000_000), "an unknown field of 5 MiB": part(goodProto(1), 98, make([]byte, 5<<20)),
		} {
			t.take(what, t.ends(t.created(t.call(p, t.token, targetTable), create), true, single(0, wire.Proto, record)), "grpc OK")
		}
	}},
	{name: "records: 10 MiB each on many streams", run: func(t *trial) {
		// All of it is allowed. What is not in a table yet has a budget, beyond which streams wait.
		p := t.peer()
		n := 4
		if t.cfg.quick {
			n = 1
		}
		record := []byte(`{"text":"` + strings.Repeat("x", maxRequest-100) + `"}`)
		var calls []*call
		for range n {
			if c := t.stream(p, targetTable); c != nil {
				calls = append(calls, c)
			}
		}
		var errs []error
		for i := range int64(4) {
			for _, c := range calls {
				errs = append(errs, c.message(t.ctx, single(i, wire.JSON, record)))
			}
		}
		if err := errors.Join(errs...); err != nil {
			t.fault("%v", err)
		}
		for _, c := range calls {
			_ = c.half() // the outcome tells
			t.sent(3)
			t.take("40 MiB", c.outcome(t.ctx), "grpc OK")
		}
	}},
}

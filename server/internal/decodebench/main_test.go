package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lines runs a command and reads its output.
func lines[T any](t *testing.T, args ...string) (all []T) {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), args, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(&out); ; {
		var one T
		switch err := d.Decode(&one); err {
		case nil:
			all = append(all, one)
		case io.EOF:
			return all
		default:
			t.Fatal(err)
		}
	}
}

func TestDecode_BothEncodings(t *testing.T) {
	all := lines[result](t, "decode", "-rounds", "2", "-for", "1ms", "-shapes", "small,wide")
	if len(all) != 8 {
		t.Fatalf("%d results, want 2 shapes of 2 encodings by 2 decoders", len(all))
	}
	for i, r := range all {
		if len(r.MB) != 2 || r.MB[0] <= 0 || r.Bytes == 0 || (i%2 == 0) != (r.Decoder == "zerobus") {
			t.Errorf("%+v", r)
		}
		if r.Decoder == "zerobus" && r.Allocs > 0.05 { // the runtime's own count, too
			t.Errorf("%s, %s: %v allocations a record", r.Shape, r.Encoding, r.Allocs)
		}
	}
}

func TestReceive_OverLoopback(t *testing.T) {
	for _, r := range lines[received](t, "receive", "-rounds", "1", "-for", "10ms", "-streams", "2", "-shapes", "small,1k") {
		if len(r.MB) != 1 || r.MB[0] <= 0 || r.Streams != 2 {
			t.Errorf("%+v", r)
		}
	}
}

func TestReceive_OverASlowNetwork(t *testing.T) {
	for _, r := range lines[received](t, "receive", "-rounds", "1", "-for", "10ms", "-shapes", "small", "-encodings", "protobuf", "-delay", "5ms") {
		// A record is acknowledged after two ways at least, and the client's window is not larger than 50,000 records.
		if r.Delay != 5 || len(r.MB) != 1 || r.MB[0] <= 0 || r.MB[0] > 50_000*25/0.010/1e6 {
			t.Errorf("%+v", r)
		}
	}
}

func TestCorpus_CanBeRead(t *testing.T) {
	dir := t.TempDir()
	for _, e := range lines[entry](t, "corpus", "-dir", dir, "-records", "10", "-shapes", "wide") {
		b, err := os.ReadFile(e.File)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for ; len(b) >= 4; n++ {
			b = b[4+binary.LittleEndian.Uint32(b):]
		}
		if n != 10 || len(b) != 0 || (e.Encoding == "protobuf") != (len(e.Descriptor) > 0) {
			t.Errorf("%s: %d records, and %d bytes behind them", e.File, n, len(b))
		}
	}
}

func TestRun_WrongFlags(t *testing.T) {
	for _, args := range [][]string{
		nil,
		{"encode"},
		{"decode", "more"},
		{"decode", "-shapes", "huge"},
		{"decode", "-encodings", "avro"},
		{"decode", "-rounds", "0"},
		{"corpus", "-dir", "a/b/c"}, // is not there
	} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

package wal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"strings"
	"testing"
)

// The constants of docs/format/wal.md. A change here is a new version of the format.
func TestFormat_ConstantsAreFrozen(t *testing.T) {
	for name, c := range map[string][2]uint64{
		"version":     {formatVersion, 1},
		"block":       {blockSize, 4096},
		"header":      {headerBytes, 64},
		"head":        {entryHeadBytes, 48},
		"alignment":   {entryAlign, 8},
		"kind entry":  {uint64(kindEntry), 1},
		"kind mark":   {uint64(kindMark), 2},
		"kind seal":   {uint64(kindSeal), 3},
		"name digits": {nameDigits, 20},
	} {
		if c[0] != c[1] {
			t.Errorf("%s is %d, the document says %d", name, c[0], c[1])
		}
	}
	if segmentMagic != "ZBWALSEG" {
		t.Errorf("magic is %q", segmentMagic)
	}
	// The check value of CRC-32C (RFC 3720, Castagnoli).
	if got := crc32.Checksum([]byte("123456789"), castagnoli); got != 0xe3069283 {
		t.Errorf("CRC-32C of 123456789 is %08x", got)
	}
}

var (
	goldenLog    = logID{0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0x46, 0xa7, 0x88, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf}
	goldenTable  = TableID{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	goldenHeader = segmentHeader{number: 3, firstSeq: 1000, capacity: 65536, log: goldenLog}
)

// The bytes of the document, the checksums computed by another implementation.
const (
	goldenHex = `
	5a425741 4c534547 01000000 00000000
	03000000 00000000 e8030000 00000000
	00000100 00000000 a0a1a2a3 a4a546a7
	88a9aaab acadaeaf 00000000 a8e4faa5
	e5ced83b 666efb99 0a000000 01000000
	e8030000 00000000 e8030000 00000000
	00010203 04050607 08090a0b 0c0d0e0f
	68656c6c 6f2c206c 6f670000 00000000
	7f3ec752 00000000 00000000 01000000
	e9030000 00000000 e8030000 00000000
	00010203 04050607 08090a0b 0c0d0e0f
	0ae2b3aa 00000000 00000000 02000000
	ea030000 00000000 ea030000 00000000
	00000000 00000000 00000000 00000000
`
	goldenID = "zerobus-wal 1 a0a1a2a3-a4a5-46a7-88a9-aaabacadaeaf 8417726f\n"
)

// golden is a segment as the document shows it: header, an entry, an entry of the same group, a mark.
func golden() []byte {
	img := make([]byte, goldenHeader.capacity)
	goldenHeader.encode(img)
	seed := goldenHeader.seed()
	off := int64(blockSize)
	for i, payload := range []string{"hello, log", ""} {
		size := entrySize(len(payload))
		for i := range size {
			img[off+i] = 0xee // memory is used again and again
		}
		fillEntry(img[off:off+size], goldenTable, []byte(payload))
		completeHead(img[off:], 1000+uint64(i), 1000, seed)
		off += size
	}
	mark := head{kind: kindMark, seq: 1002, group: 1002}
	mark.encode(img[off:], seed)
	return img
}

func TestFormat_GoldenBytes(t *testing.T) {
	want := strings.Join(strings.Fields(goldenHex), "")
	img := golden()
	got := hex.EncodeToString(img[:headerBytes]) + hex.EncodeToString(img[blockSize:blockSize+160])
	if got != want {
		t.Errorf("segment bytes\n got %s\nwant %s", got, want)
	}
	if rest := append(bytes.Clone(img[headerBytes:blockSize]), img[blockSize+160:]...); len(bytes.Trim(rest, "\x00")) != 0 {
		t.Error("the rest of the segment is not zero")
	}
	if got, want := idLine(goldenLog), goldenID; got != want {
		t.Errorf("ID file is %q, want %q", got, want)
	}

	// And back, from the golden bytes alone.
	raw, err := hex.DecodeString(want)
	if err != nil {
		t.Fatal(err)
	}
	h, err := decodeHeader(raw)
	if err != nil || h != goldenHeader {
		t.Fatalf("header is %+v, %v; want %+v", h, err, goldenHeader)
	}
	back := make([]byte, h.capacity)
	copy(back, raw[:headerBytes])
	copy(back[blockSize:], raw[headerBytes:])
	var payloads []string
	s, err := walk(back, h, func(e head, p []byte) error {
		if e.table != goldenTable {
			t.Errorf("table is %s", e.table)
		}
		payloads = append(payloads, string(p))
		return nil
	})
	if err != nil || s.next != 1002 || s.final != kindMark || s.groupAt != blockSize || len(payloads) != 2 || payloads[0] != "hello, log" {
		t.Errorf("walk gives %+v, %q, %v", s, payloads, err)
	}
}

func TestFormat_IDFile(t *testing.T) {
	for range 3 {
		id := newLogID()
		if got, ok := parseIDLine(idLine(id)); !ok || got != id {
			t.Errorf("parse(%q) is %s, %t", idLine(id), got, ok)
		}
	}
	line := idLine(goldenLog)
	for i := range line {
		for bit := range 8 {
			b := []byte(line)
			b[i] ^= 1 << bit
			if id, ok := parseIDLine(string(b)); ok {
				t.Errorf("%q is taken for %s", b, id)
			}
		}
		if _, ok := parseIDLine(line[:i]); ok {
			t.Errorf("%q is taken for whole", line[:i])
		}
	}
}

func TestFormat_HeaderRefusesWhatItDoesNotKnow(t *testing.T) {
	block := make([]byte, blockSize)
	goldenHeader.encode(block)
	newer := bytes.Clone(block)
	newer[8] = 2
	sum := crc32.Checksum(newer[:60], castagnoli)
	newer[60], newer[61], newer[62], newer[63] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
	if _, err := decodeHeader(newer); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("version 2: %v", err)
	}
	for i := range headerBytes {
		b := bytes.Clone(block)
		b[i] ^= 0x10
		if _, err := decodeHeader(b); err == nil {
			t.Errorf("a header with byte %d changed is taken", i)
		}
	}
}

func TestFormat_Names(t *testing.T) {
	for name, want := range map[string]uint64{
		"00000000000000000007.wal":   7,
		"18446744073709551615.wal":   1<<64 - 1,
		"00000000000000000007.spare": 0,
		"7.wal":                      0,
		"99999999999999999999.wal":   0,
		"-0000000000000000007.wal":   0,
		"+0000000000000000007.wal":   0,
		"00000000000000000007.wal~":  0,
		".wal":                       0,
	} {
		n, ok := parseName(name, segmentSuffix)
		if ok != (want != 0) || ok && n != want {
			t.Errorf("parseName(%q) is %d, %t; want %d", name, n, ok, want)
		}
		if ok && numberedName(n, segmentSuffix) != name {
			t.Errorf("numberedName(%d) is not %q", n, name)
		}
	}
}

func TestScan_StopsAtWhatDoesNotContinueTheLog(t *testing.T) {
	h := goldenHeader
	entry := func(seq, group uint64, payload string) []byte {
		b := make([]byte, entrySize(len(payload)))
		fillEntry(b, goldenTable, []byte(payload))
		completeHead(b, seq, group, h.seed())
		return b
	}
	end := func(k kind, seq uint64) []byte {
		b := make([]byte, entryHeadBytes)
		e := head{kind: k, seq: seq, group: seq}
		e.encode(b, h.seed())
		return b
	}
	wrongPayload := entry(1001, 1000, "payload")
	wrongPayload[entryHeadBytes] ^= 1
	earlier := h
	earlier.number--
	old := make([]byte, entryHeadBytes)
	(&head{kind: kindEntry, seq: 1001, group: 1001}).encode(old, earlier.seed())
	endless := make([]byte, entryHeadBytes)
	(&head{kind: kindEntry, seq: 1001, group: 1001, length: 1<<32 - 1}).encode(endless, h.seed())
	full := make([]byte, h.capacity-blockSize-2*entryHeadBytes-8)

	for name, c := range map[string]struct {
		second []byte
		next   uint64
		final  kind
		stop   string
	}{
		"same group":            {entry(1001, 1000, "x"), 1002, 0, "checksum of a head"},
		"next group":            {entry(1001, 1001, "x"), 1002, 0, "checksum of a head"},
		"mark":                  {end(kindMark, 1001), 1001, kindMark, ""},
		"seal":                  {end(kindSeal, 1001), 1001, kindSeal, ""},
		"mark of another end":   {end(kindMark, 1002), 1001, 0, "sequence number 1002"},
		"unknown kind":          {end(4, 1001), 1001, 0, "unknown kind"},
		"repeated number":       {entry(1000, 1000, "x"), 1001, 0, "sequence number 1000 follows 1000"},
		"number left out":       {entry(1002, 1002, "x"), 1001, 0, "sequence number 1002 follows 1000"},
		"group of long ago":     {entry(1001, 999, "x"), 1001, 0, "group begins at 999"},
		"group to come":         {entry(1001, 1002, "x"), 1001, 0, "group begins at 1002"},
		"payload":               {wrongPayload, 1001, 0, "payload of entry 1001"},
		"of an earlier life":    {old, 1001, 0, "checksum of a head"},
		"beyond the end":        {endless, 1001, 0, "beyond"},
		"the mark's place":      {entry(1001, 1000, string(full)), 1001, 0, "beyond"},
		"the last that fits":    {entry(1001, 1000, string(full[:len(full)-entryHeadBytes-entryAlign])), 1002, 0, "checksum of a head"},
		"zeroes, as never used": {nil, 1001, 0, "checksum of a head"},
	} {
		t.Run(name, func(t *testing.T) {
			img := make([]byte, h.capacity)
			h.encode(img)
			n := copy(img[blockSize:], entry(1000, 1000, ""))
			copy(img[blockSize+n:], c.second)
			s, err := walk(img, h, nil)
			if err != nil || s.next != c.next || s.final != c.final || !strings.Contains(s.stop, c.stop) || (c.stop == "") != (s.stop == "") {
				t.Errorf("walk gives %+v, %v", s, err)
			}
		})
	}
}

// FuzzScan: whatever stands behind the header, walk and inspect end, stay inside, and give nothing that was not written.
// With mend, the checksums are made to hold first, so that the fuzzer gets behind them.
func FuzzScan(f *testing.F) {
	body := golden()[blockSize:]
	f.Add(body[:256], uint64(1000), false)
	f.Add(body[:256], uint64(1000), true)
	f.Add(append(bytes.Clone(body[:64]), body[:160]...), uint64(1000), false)
	f.Add(make([]byte, 2*entryHeadBytes), uint64(0), true)
	f.Add(body[64:256], uint64(1<<64-1), true)
	truth := map[uint64]string{1000: "hello, log", 1001: ""}
	f.Fuzz(func(t *testing.T, body []byte, first uint64, mend bool) {
		if len(body) < 2*entryHeadBytes {
			return
		}
		b := append(make([]byte, blockSize), body...)
		h := goldenHeader
		h.firstSeq, h.capacity = first, uint64(len(b))
		if mend {
			for at := int64(blockSize); int64(len(b))-at >= entryHeadBytes; {
				var e head
				e.decode(b[at:])
				if size := entrySize(int(e.length)); size <= int64(len(b))-at {
					e.payloadCRC = crc32.Checksum(b[at+entryHeadBytes:at+entryHeadBytes+int64(e.length)], castagnoli)
					e.encode(b[at:], h.seed())
					at += size
				} else {
					e.encode(b[at:], h.seed())
					break
				}
			}
		}
		errStop := errors.New("stop")
		n, last := 0, uint64(0)
		s, err := walk(b, h, func(e head, p []byte) error {
			n++
			if e.seq < h.firstSeq || n > 1 && e.seq != last+1 {
				t.Fatalf("entry %d after %d, first is %d", e.seq, last, h.firstSeq)
			}
			last = e.seq
			if want, ok := truth[e.seq]; !mend && (!ok || e.table != goldenTable || string(p) != want) {
				t.Fatalf("entry %d is %q", e.seq, p)
			}
			if n == 100 {
				return errStop
			}
			return nil
		})
		if err != nil && err != errStop {
			t.Fatal(err)
		}
		if s.end < blockSize || s.end > int64(len(b))-entryHeadBytes || s.groupAt > s.end {
			t.Fatalf("walk left the segment: %+v of %d bytes", s, len(b))
		}
		if l := inspect(b, h, s); l.end > int64(len(b)) || l.heads > 0 && l.end <= s.end {
			t.Fatalf("inspect left the segment: %+v of %d bytes", l, len(b))
		}
	})
}

// FuzzHeader: a header is refused, or encodes to what was read.
func FuzzHeader(f *testing.F) {
	block := make([]byte, blockSize)
	goldenHeader.encode(block)
	f.Add(block[:headerBytes])
	f.Add(make([]byte, headerBytes))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < headerBytes {
			return
		}
		for range 2 {
			if h, err := decodeHeader(b); err == nil {
				h.encode(block)
				// Bytes that are kept for later versions are not read.
				want := bytes.Clone(b[:headerBytes])
				clear(want[12:16])
				clear(want[56:64])
				clear(block[60:64])
				if !bytes.Equal(block[:headerBytes], want) {
					t.Fatalf("%x reads as %+v", b[:headerBytes], h)
				}
			}
			sum := crc32.Checksum(b[:60], castagnoli)
			b = append(bytes.Clone(b[:60]), byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24))
		}
	})
}

package wal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// The constants of the format. They are frozen: docs/format/wal.md describes them, golden bytes in the tests hold them.
const (
	segmentMagic  = "ZBWALSEG"
	formatVersion = 1

	// The header has a block of its own, so that no write of an entry ever touches the sectors of the header.
	blockSize       = 4096
	headerBytes     = 64
	entryHeadBytes  = 48
	entryAlign      = 8
	segmentOverhead = blockSize + 2*entryHeadBytes // header block, head of one entry, final mark
)

// kind tells what follows a head. The values are part of the format.
type kind uint32

const (
	// kindEntry: an entry with a payload.
	kindEntry kind = 1
	// kindMark: the log ended here when this was written, and all before it was durable by then. Has no payload and
	// takes no sequence number; the next entry is written over it.
	kindMark kind = 2
	// kindSeal: like a mark, final: the next segment exists.
	kindSeal kind = 3
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// logID is the UUID of a log.
type logID [16]byte

func (id logID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[0:4], id[4:6], id[6:8], id[8:10], id[10:16])
}

// segmentHeader is the first block of a segment file.
type segmentHeader struct {
	number   uint64 // position of the segment in the log, from 1
	firstSeq uint64 // sequence number of the first entry that is, or will be, in the segment
	capacity uint64 // size of the file
	log      logID
}

// encode writes the header block; block has blockSize bytes.
//
//	 0  8  magic "ZBWALSEG"
//	 8  4  version
//	12  4  zero
//	16  8  segment number
//	24  8  first sequence number
//	32  8  capacity
//	40 16  log id
//	56  4  zero
//	60  4  CRC-32C of bytes 0 to 59
func (h segmentHeader) encode(block []byte) {
	clear(block)
	copy(block, segmentMagic)
	binary.LittleEndian.PutUint32(block[8:], formatVersion)
	binary.LittleEndian.PutUint64(block[16:], h.number)
	binary.LittleEndian.PutUint64(block[24:], h.firstSeq)
	binary.LittleEndian.PutUint64(block[32:], h.capacity)
	copy(block[40:56], h.log[:])
	binary.LittleEndian.PutUint32(block[60:], crc32.Checksum(block[:60], castagnoli))
}

// decodeHeader reads a header; b has at least headerBytes bytes. The error is the reason of a CorruptionError.
func decodeHeader(b []byte) (segmentHeader, error) {
	var h segmentHeader
	if string(b[:8]) != segmentMagic {
		return h, fmt.Errorf("not a segment of a log: it begins with %q, not %q", b[:8], segmentMagic)
	}
	if got, want := crc32.Checksum(b[:60], castagnoli), binary.LittleEndian.Uint32(b[60:]); got != want {
		return h, fmt.Errorf("header's checksum is %08x, its bytes give %08x", want, got)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != formatVersion {
		return h, fmt.Errorf("format version %d, this server knows version %d only: use the server that wrote it", v, formatVersion)
	}
	h.number = binary.LittleEndian.Uint64(b[16:])
	h.firstSeq = binary.LittleEndian.Uint64(b[24:])
	h.capacity = binary.LittleEndian.Uint64(b[32:])
	copy(h.log[:], b[40:56])
	return h, nil
}

// seed is what the checksum of every head in the segment starts from. It holds log and segment number, so that no
// head which was written for another segment, in an earlier life of the file, is ever valid in this one.
func (h segmentHeader) seed() uint32 {
	var b [24]byte
	copy(b[:16], h.log[:])
	binary.LittleEndian.PutUint64(b[16:], h.number)
	return crc32.Checksum(b[:], castagnoli)
}

// head precedes every payload.
type head struct {
	payloadCRC uint32
	length     uint32
	kind       kind
	seq        uint64
	group      uint64 // sequence number of the first entry of the group that was written with this one
	table      TableID
}

// encode writes the head; b has at least entryHeadBytes bytes.
//
//	 0  4  CRC-32C of log id, segment number, and bytes 4 to 47
//	 4  4  CRC-32C of the payload
//	 8  4  length of the payload
//	12  4  kind
//	16  8  sequence number
//	24  8  sequence number of the first entry of the group
//	32 16  table
func (h *head) encode(b []byte, seed uint32) {
	h.prepare(b)
	completeHead(b, h.seq, h.group, seed)
}

// prepare writes what is known of the head when an entry is queued.
func (h *head) prepare(b []byte) {
	_ = b[entryHeadBytes-1]
	binary.LittleEndian.PutUint32(b[4:], h.payloadCRC)
	binary.LittleEndian.PutUint32(b[8:], h.length)
	binary.LittleEndian.PutUint32(b[12:], uint32(h.kind))
	copy(b[32:48], h.table[:])
}

// completeHead writes what is known of the head when its place in the log is, and the checksum.
func completeHead(b []byte, seq, group uint64, seed uint32) {
	_ = b[entryHeadBytes-1]
	binary.LittleEndian.PutUint64(b[16:], seq)
	binary.LittleEndian.PutUint64(b[24:], group)
	binary.LittleEndian.PutUint32(b, crc32.Update(seed, castagnoli, b[4:entryHeadBytes]))
}

// decode reads a head without judging it.
func (h *head) decode(b []byte) {
	_ = b[entryHeadBytes-1]
	h.payloadCRC = binary.LittleEndian.Uint32(b[4:])
	h.length = binary.LittleEndian.Uint32(b[8:])
	h.kind = kind(binary.LittleEndian.Uint32(b[12:]))
	h.seq = binary.LittleEndian.Uint64(b[16:])
	h.group = binary.LittleEndian.Uint64(b[24:])
	copy(h.table[:], b[32:48])
}

// headChecksumHolds compares the checksum of the head in b with its bytes.
func headChecksumHolds(b []byte, seed uint32) bool {
	return binary.LittleEndian.Uint32(b) == crc32.Update(seed, castagnoli, b[4:entryHeadBytes])
}

// entrySize is the room that a payload of n bytes takes in a segment.
func entrySize(n int) int64 {
	return (entryHeadBytes + int64(n) + entryAlign - 1) &^ (entryAlign - 1)
}

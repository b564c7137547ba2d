package sink

import (
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/net/http2"
)

const (
	headerSize = 9

	// maxFrame is the default of SETTINGS_MAX_FRAME_SIZE, which the sink leaves alone: grpc-go sends no larger frames
	// whatever it is allowed.
	maxFrame = 16 << 10
)

// frames is told what a walker finds. What a returned error says ends the connection.
type frames interface {
	// data is a piece of a DATA frame that takes n bytes of the flow-control windows. Messages in it are found by the
	// cursor that it returns; nil drops them. It is called at least once for every frame, possibly with 0.
	data(id uint32, n int) (*cursor, error)

	// fault is an error of the cursor.
	fault(id uint32, err error)

	// end is the end of a DATA frame that ends its stream.
	end(id uint32)

	// frame is a whole frame of another type. It may not keep b.
	frame(b []byte) error
}

// walker finds HTTP/2 frames in what a client sends, wherever the bytes are cut. It keeps no bytes: those of DATA are
// used up as they come, others are asked for again until their frame is whole.
//
// It has no goroutine, clock or I/O. The DATA frame in the middle of which it stands, if any, is in open, left and pad.
type walker struct {
	to    frames
	begun bool // the client's preface has come

	open    bool // a DATA frame is not at its end
	last    bool // it has END_STREAM
	id      uint32
	left    int // of its payload, without padding
	pad     int // of its padding
	uncount int // bytes of it that no call of data has told yet: the one with the length of the padding
}

// walk uses up as much of b as it can and returns how much that was. The caller puts what comes next behind the rest,
// which is less than a header and [maxFrame]. After an error the walker is of no more use.
func (w *walker) walk(b []byte) (int, error) {
	size := len(b)
	if !w.begun {
		if n := min(size, len(http2.ClientPreface)); string(b[:n]) != http2.ClientPreface[:n] {
			return 0, fmt.Errorf("the connection begins with %q, not with HTTP/2's preface: %w",
				strings.ToValidUTF8(string(b[:n]), "."), http2.ConnectionError(http2.ErrCodeProtocol))
		}
		if size < len(http2.ClientPreface) {
			return 0, nil
		}
		w.begun, b = true, b[len(http2.ClientPreface):]
	}
	for {
		if w.open {
			n, err := w.walkData(b)
			if err != nil {
				return size - len(b), err
			}
			if b = b[n:]; w.open {
				return size - len(b), nil
			}
		}
		if len(b) < headerSize {
			return size - len(b), nil
		}
		length := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
		typ, flags := http2.FrameType(b[3]), http2.Flags(b[4])
		if length > maxFrame {
			return size - len(b), fmt.Errorf("a frame of type %v has %d bytes: %w",
				typ, length, http2.ConnectionError(http2.ErrCodeFrameSize))
		}
		if typ != http2.FrameData {
			if len(b) < headerSize+length {
				return size - len(b), nil
			}
			if err := w.to.frame(b[:headerSize+length]); err != nil {
				return size - len(b), err
			}
			b = b[headerSize+length:]
			continue
		}
		used, pad := headerSize, 0
		if flags&http2.FlagDataPadded != 0 {
			if length > 0 && len(b) == headerSize {
				return size - len(b), nil
			}
			if length > 0 {
				pad = int(b[headerSize])
			}
			if length < 1+pad {
				return size - len(b), fmt.Errorf("%d bytes of DATA have %d of padding: %w",
					length, pad, http2.ConnectionError(http2.ErrCodeProtocol))
			}
			used, length, w.uncount = used+1, length-1-pad, 1
		}
		w.open, w.last = true, flags&http2.FlagDataEndStream != 0
		w.id = binary.BigEndian.Uint32(b[5:]) & (1<<31 - 1)
		w.left, w.pad = length, pad
		b = b[used:]
	}
}

// walkData uses up what there is of the open frame.
func (w *walker) walkData(b []byte) (int, error) {
	n := min(w.left, len(b))
	padding := min(w.pad, len(b)-n)
	c, err := w.to.data(w.id, n+padding+w.uncount)
	if err != nil {
		return 0, err
	}
	w.uncount = 0
	w.left -= n
	w.pad -= padding
	if c != nil && n > 0 {
		if err := c.skip(b[:n]); err != nil {
			w.to.fault(w.id, err)
		}
	}
	if w.left == 0 && w.pad == 0 {
		w.open = false
		if w.last {
			w.to.end(w.id)
		}
	}
	return n + padding, nil
}

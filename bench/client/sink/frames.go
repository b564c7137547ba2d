package sink

import (
	"errors"
	"fmt"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"

	"github.com/zerobus-go/zerobus/internal/wire"
)

// maxString bounds a header's name and its value. Tokens have a few KiB.
const maxString = 64 << 10

// A conn is told by its walker what comes, under the lock.
var _ frames = (*conn)(nil)

// headerBlock is what is known of the header block that comes.
type headerBlock struct {
	id   uint32 // its stream; 0 between blocks
	end  bool   // it ends the stream
	path string
}

func (b *headerBlock) field(f hpack.HeaderField) {
	if f.Name == ":path" {
		b.path = f.Value
	}
}

// fatal is an error that ends the connection.
func fatal(code http2.ErrCode, format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), http2.ConnectionError(code))
}

// lookup returns an open stream, nil for one that has ended, and an error for one that there never was.
func (c *conn) lookup(id uint32) (*stream, error) {
	if s := c.current; s != nil && s.id == id {
		return s, nil
	}
	if s := c.streams[id]; s != nil {
		c.current = s
		return s, nil
	}
	if id == 0 || id%2 == 0 || id > c.newestID {
		return nil, fatal(http2.ErrCodeProtocol, "a frame for stream %d, which was not opened", id)
	}
	return nil, nil
}

func (c *conn) touch(s *stream) {
	if !s.touched {
		s.touched = true
		c.touched = append(c.touched, s)
	}
}

// remove forgets a stream. One that was touched is still counted.
func (c *conn) remove(s *stream) {
	s.gone = true
	delete(c.streams, s.id)
	if c.current == s {
		c.current = nil
	}
}

func (c *conn) data(id uint32, n int) (*cursor, error) {
	c.taken += n
	if c.block.id != 0 {
		return nil, fatal(http2.ErrCodeProtocol, "DATA within a header block")
	}
	s, err := c.lookup(id)
	if s == nil {
		return nil, err
	}
	if s.half {
		return nil, fatal(http2.ErrCodeStreamClosed, "DATA after the end of stream %d", id)
	}
	s.taken += n
	c.touch(s)
	return &s.cursor, nil
}

func (c *conn) fault(id uint32, err error) {
	s := c.streams[id]
	c.sink.fail(fmt.Errorf("client %v, stream %d, message %d: %w", c.raw.RemoteAddr(), id, s.cursor.count, err))
	c.finish(s, codes.InvalidArgument, err.Error())
}

func (c *conn) end(id uint32) {
	s := c.streams[id]
	if s == nil {
		return
	}
	if s.cursor.cut() {
		c.fault(id, errCut)
		return
	}
	s.half = true
	c.touch(s)
}

func (c *conn) frame(b []byte) error {
	c.frameIn.Reset(b)
	f, err := c.framer.ReadFrame()
	if err != nil {
		return c.frameError(err)
	}
	switch f := f.(type) {
	case *http2.HeadersFrame:
		c.block = headerBlock{id: f.StreamID, end: f.StreamEnded()}
		return c.fragment(f.HeaderBlockFragment(), f.HeadersEnded())
	case *http2.ContinuationFrame:
		return c.fragment(f.HeaderBlockFragment(), f.HeadersEnded())
	case *http2.SettingsFrame:
		return c.settings(f)
	case *http2.PingFrame:
		if !f.IsAck() {
			c.framer.WritePing(true, f.Data)
		}
	case *http2.WindowUpdateFrame:
		return c.windowUpdate(f)
	case *http2.RSTStreamFrame:
		s, err := c.lookup(f.StreamID)
		if s != nil {
			c.remove(s)
		}
		return err
	case *http2.PushPromiseFrame:
		return fatal(http2.ErrCodeProtocol, "PUSH_PROMISE from a client")
	}
	return nil // GOAWAY, PRIORITY and what is not known ask for nothing
}

// frameError makes every error of the framer one of the connection: a client of ours makes none.
func (c *conn) frameError(err error) error {
	if detail := c.framer.ErrorDetail(); detail != nil {
		err = fmt.Errorf("%v: %w", detail, err)
	}
	if errors.As(err, new(http2.ConnectionError)) {
		return err
	}
	var s http2.StreamError
	if errors.As(err, &s) {
		return fatal(s.Code, "%v", err)
	}
	return fatal(http2.ErrCodeProtocol, "%v", err)
}

// fragment takes a piece of a header block, all of which have to be decoded to keep the state of HPACK.
func (c *conn) fragment(b []byte, last bool) error {
	_, err := c.hpack.Write(b)
	if err == nil && last {
		err = c.hpack.Close()
	}
	if err != nil {
		return fatal(http2.ErrCodeCompression, "headers: %v", err)
	}
	if !last {
		return nil
	}
	block := c.block
	c.block = headerBlock{}
	if block.id > c.newestID && block.id%2 == 1 {
		c.newestID = block.id
		c.openStream(block)
		return nil
	}
	s, err := c.lookup(block.id)
	if s == nil {
		return err // nil for trailers of a stream that we have ended
	}
	if !block.end || s.half {
		return fatal(http2.ErrCodeProtocol, "headers in the middle of stream %d", block.id)
	}
	c.end(block.id)
	return nil
}

func (c *conn) openStream(block headerBlock) {
	switch {
	case len(c.streams) >= maxStreams:
		c.framer.WriteRSTStream(block.id, http2.ErrCodeRefusedStream)
	case block.path != wire.Method:
		c.writeHeaders(block.id, unimplemented, true)
		if !block.end {
			c.framer.WriteRSTStream(block.id, http2.ErrCodeNo)
		}
	default:
		s := newStream(block.id, &c.sink.cfg, c.initial)
		c.streams[block.id] = s
		c.writeHeaders(block.id, responseHeaders, false)
		if block.end {
			c.end(block.id)
		}
	}
}

func (c *conn) settings(f *http2.SettingsFrame) error {
	if f.IsAck() {
		return nil
	}
	err := f.ForeachSetting(func(s http2.Setting) error {
		if err := s.Valid(); err != nil {
			return err
		}
		if s.ID != http2.SettingInitialWindowSize {
			return nil // what we send is small and refers to no table
		}
		change := int64(s.Val) - c.initial
		c.initial = int64(s.Val)
		for _, stream := range c.streams {
			if stream.window += change; stream.window > maxWindow {
				return fatal(http2.ErrCodeFlowControl, "SETTINGS raise the window of stream %d above 2^31-1", stream.id)
			}
			c.touch(stream)
		}
		return nil
	})
	if err != nil {
		return c.frameError(err)
	}
	c.framer.WriteSettingsAck()
	return nil
}

func (c *conn) windowUpdate(f *http2.WindowUpdateFrame) error {
	if f.StreamID == 0 {
		if c.window += int64(f.Increment); c.window > maxWindow {
			return fatal(http2.ErrCodeFlowControl, "WINDOW_UPDATE raises the connection's window above 2^31-1")
		}
		for _, s := range c.streams {
			c.touch(s)
		}
		return nil
	}
	s, err := c.lookup(f.StreamID)
	if s == nil {
		return err
	}
	if s.window += int64(f.Increment); s.window > maxWindow {
		return fatal(http2.ErrCodeFlowControl, "WINDOW_UPDATE raises the window of stream %d above 2^31-1", s.id)
	}
	c.touch(s)
	return nil
}

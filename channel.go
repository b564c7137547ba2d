package zerobus

import (
	"google.golang.org/grpc"

	"github.com/zerobus-go/zerobus/internal/dial"
)

// channel is a gRPC channel and the number of streams that use it.
type channel struct {
	cc     *grpc.ClientConn
	faults dial.Faults
	users  int // guarded by SDK.mu
}

// channel returns a gRPC channel for one stream. It connects when it is used.
func (k *SDK) channel() (*channel, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil, errAbandoned
	}
	ch := k.shared
	if ch == nil {
		ch = new(channel)
		var err error
		if ch.cc, err = k.dial(&ch.faults); err != nil {
			return nil, err
		}
		if k.sharing {
			k.shared = ch
		}
	}
	ch.users++
	return ch, nil
}

// release gives a channel back. A silent one is not given to anybody again: its TCP connection may be dead without a
// sign, and gRPC would open stream after stream on it until the kernel gives up, which takes a quarter of an hour.
func (k *SDK) release(ch *channel, silent bool) {
	if ch == nil {
		return
	}
	k.mu.Lock()
	ch.users--
	if silent && k.shared == ch {
		k.shared = nil
	}
	unused := ch.users == 0 && k.shared != ch
	k.mu.Unlock()
	if unused {
		ch.cc.Close()
	}
}

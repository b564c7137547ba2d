//go:build !race && !amd64

package spin

import "sync/atomic"

// release stores 0 after all that was loaded and stored before.
func release(taken *uint32) { atomic.StoreUint32(taken, 0) }

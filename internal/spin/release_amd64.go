//go:build !race

package spin

// release stores 0 after all that was loaded and stored before. On amd64 a plain store does: the processor moves no store
// before an earlier load or store (Intel SDM volume 3, 9.2.2; AMD64 APM volume 2, 7.2), and the compiler none across a call
// of assembly. Non-temporal stores, which the runtime uses for large copies, are not ordered so; it ends them with SFENCE. sync/atomic has no such store: its own are also barriers for what comes after, for which nobody asks here.
//
//go:noescape
func release(taken *uint32)

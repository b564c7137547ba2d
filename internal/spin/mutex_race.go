//go:build race

package spin

import "sync"

// Mutex is a lock that the race detector sees.
type Mutex struct{ sync.Mutex }

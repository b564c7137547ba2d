package zerobus

import "strconv"

// State is where a stream is in its life.
//
//	UNINITIALIZED -> OPENED <-> FLUSHING
//	OPENED, FLUSHING -> RECOVERING -> OPENED, FLUSHING, FAILED
//	OPENED, FLUSHING, RECOVERING -> CLOSED, FAILED
type State int

// The states.
const (
	StateUninitialized State = iota // before the first connection
	StateOpened                     // connected
	StateFlushing                   // connected, and a Flush or Close waits
	StateRecovering                 // connecting again; records are accepted and kept
	StateClosed                     // ended by Close or by SDK.Close
	StateFailed                     // ended by an error that was not, or not any more, retried
)

var stateNames = [...]string{"UNINITIALIZED", "OPENED", "FLUSHING", "RECOVERING", "CLOSED", "FAILED"}

// String returns the state's name in capital letters.
func (s State) String() string {
	if s < 0 || int(s) >= len(stateNames) {
		return "State(" + strconv.Itoa(int(s)) + ")"
	}
	return stateNames[s]
}

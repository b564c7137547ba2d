package main

import (
	"os"
	"runtime/debug"
)

// memoryBeside is what the server needs beside rows, in bytes: queues of the log, the file that is being written, streams.
const memoryBeside = 512 << 20

// limitMemory has the collector keep the process near its budget of rows and what it needs beside, instead of letting as much
// garbage pile up as there are rows. GOMEMLIMIT, when it is set, says otherwise. The limit is soft: what is needed is taken.
func limitMemory(budget int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(budget + budget/4 + memoryBeside)
	}
}

package wal

import (
	"fmt"
	"strconv"
	"strings"
)

// The files of a log's directory. Others are left alone.
const (
	idName   = "ID"
	lockName = "LOCK"

	segmentSuffix = ".wal"
	spareSuffix   = ".spare" // ready to become a segment; its content means nothing
	tempSuffix    = ".tmp"   // being made; removed when the log is opened

	nameDigits = 20 // enough for every uint64, so that names sort as numbers do
)

func numberedName(n uint64, suffix string) string {
	return fmt.Sprintf("%0*d%s", nameDigits, n, suffix)
}

// parseName is the reverse of numberedName.
func parseName(name, suffix string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, suffix)
	if !ok || len(digits) != nameDigits || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil
}

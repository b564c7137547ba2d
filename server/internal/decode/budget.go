package decode

import (
	"fmt"

	"github.com/zerobus-go/zerobus/server/internal/column"
)

const (
	// maxNestedBytes bounds what the columns take while a record is read: its lists may be many times as large as it is, and
	// the size of a chunk is looked at between records only. The log takes no more than 56 MiB.
	maxNestedBytes = 64 << 20

	// spendUnit is after how many values or bytes that few bytes of a record have made the size is looked at.
	spendUnit = 1 << 20
)

var tooLarge = fmt.Sprintf("the record takes more than %d MiB in columns: send smaller ones", maxNestedBytes>>20)

// budget bounds what a record makes of few bytes.
type budget struct{ spent int }

// spend counts values or bytes, and reports whether the chunk is still of a fair size.
func (b *budget) spend(dst *column.Chunk, n int) bool {
	b.spent += n
	return b.spent < spendUnit || b.look(dst)
}

func (b *budget) look(dst *column.Chunk) bool {
	b.spent = 0
	return dst.Bytes() <= maxNestedBytes
}

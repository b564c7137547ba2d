package delta

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// The storage types of deletion vectors (PROTOCOL.md, "Deletion Vector Descriptor Schema").
const (
	vectorInline   = "i" // in the log
	vectorRelative = "u" // a random prefix and a UUID, which make the file's name
	vectorAbsolute = "p" // an absolute path
)

// uuidChars is the length of a UUID in Z85.
const uuidChars = 20

// File is the path of the file that has the deletion vector, below the table or absolute; empty when the log has it, or when there
// is none.
func (v *DeletionVector) File() (string, error) {
	if v == nil {
		return "", nil
	}
	switch v.StorageType {
	case vectorInline:
		return "", nil
	case vectorAbsolute:
		return v.PathOrInlineDV, nil
	case vectorRelative:
		at := len(v.PathOrInlineDV) - uuidChars
		if at < 0 {
			return "", fmt.Errorf("the deletion vector %q is too short for a name", v.PathOrInlineDV)
		}
		id, err := uuidOfZ85(v.PathOrInlineDV[at:])
		if err != nil {
			return "", fmt.Errorf("the deletion vector %q: %w", v.PathOrInlineDV, err)
		}
		name := "deletion_vector_" + id.String() + ".bin"
		if at > 0 {
			name = v.PathOrInlineDV[:at] + "/" + name
		}
		return name, nil
	}
	return "", fmt.Errorf("the deletion vector is stored in a way that is not known, %q", v.StorageType)
}

// z85 are the digits of base 85: https://rfc.zeromq.org/spec/32/.
const z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

// uuidOfZ85 decodes a UUID: five digits make four bytes, the highest first.
func uuidOfZ85(text string) (id uuid.UUID, err error) {
	for group := range len(id) / 4 {
		n := uint64(0)
		for _, c := range []byte(text[group*5 : group*5+5]) {
			digit := strings.IndexByte(z85, c)
			if digit < 0 {
				return id, fmt.Errorf("%q is no digit of Z85", c)
			}
			n = n*85 + uint64(digit)
		}
		if n>>32 != 0 {
			return id, fmt.Errorf("%q is too great for four bytes", text[group*5:group*5+5])
		}
		for i := range 4 {
			id[group*4+i] = byte(n >> (24 - 8*i))
		}
	}
	return id, nil
}

package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	"github.com/zerobus-go/zerobus/server/internal/loadgen"
)

// entry is a line of the output: a file of records. In it every record stands behind its length, 4 bytes, little-endian.
type entry struct {
	Shape      string           `json:"shape"`
	Encoding   loadgen.Encoding `json:"encoding"`
	File       string           `json:"file"`
	DDL        string           `json:"ddl"`                  // the columns
	Descriptor []byte           `json:"descriptor,omitempty"` // DescriptorProto, in base64
}

// corpus writes the records of the cases to files.
func corpus(ctx context.Context, c config, out io.Writer) error {
	enc := json.NewEncoder(out)
	for _, s := range c.shapes {
		for _, e := range c.encodings {
			if err := ctx.Err(); err != nil {
				return err
			}
			records, err := loadgen.Records(s, e, c.records)
			if err != nil {
				return err
			}
			var file []byte
			for _, r := range records {
				file = append(binary.LittleEndian.AppendUint32(file, uint32(len(r))), r...)
			}
			one := entry{Shape: s.Name, Encoding: e, DDL: s.DDL(), File: filepath.Join(c.dir, fmt.Sprintf("%s-%s.records", s.Name, e))}
			if e == loadgen.Proto {
				if one.Descriptor, err = proto.Marshal(s.Descriptor()); err != nil {
					return err
				}
			}
			if err := os.WriteFile(one.File, file, 0o644); err != nil {
				return err
			}
			if err := enc.Encode(one); err != nil {
				return err
			}
		}
	}
	return nil
}

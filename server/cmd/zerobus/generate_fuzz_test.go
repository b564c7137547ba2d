package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/zerobus-go/zerobus/schema"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Whatever is in a file to check, and whichever message is asked for, the answer is an error or a report.
func FuzzGenerateCheck(f *testing.F) {
	for _, file := range []string{"orders.proto", "check/order.pb", "check/order.proto", "names.proto"} {
		data, err := os.ReadFile(filepath.Join("testdata", "generate", filepath.FromSlash(file)))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "", true)
		f.Add(data, "shop.v1.Order", false)
	}
	text, err := os.ReadFile(filepath.Join("testdata", "generate", "orders.sql"))
	if err != nil {
		f.Fatal(err)
	}
	statement, err := schema.ParseCreateTable(string(text))
	if err != nil {
		f.Fatal(err)
	}
	_, descriptor, err := protoOf(sourceTable{"orders", &statement.Columns}, "orders")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(descriptor, "orders", false)
	f.Fuzz(func(t *testing.T, data []byte, message string, asText bool) {
		read := messageOfBinary
		if asText {
			read = func(data []byte, message string) (protoreflect.MessageDescriptor, error) {
				return messageOfText("f.proto", data, message)
			}
		}
		if md, err := read(data, message); err == nil {
			r := newFitReport("f", md, sourceTable{"orders", &statement.Columns})
			if r.Fits != (r.err() == nil) {
				t.Errorf("fits is %v, the error is %v", r.Fits, r.err())
			}
		}
	})
}

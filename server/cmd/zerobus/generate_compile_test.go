package main

import (
	"path/filepath"
	"testing"

	"github.com/bufbuild/protocompile"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/descriptorpb"
)

// A compiler that we did not write reads every golden file, and makes of it what --descriptor-out says.
func TestGenerate_GP17_GoldenTextCompiles(t *testing.T) {
	noVariables(t)
	compiler := protocompile.Compiler{Resolver: &protocompile.SourceResolver{ImportPaths: []string{filepath.Join("testdata", "generate")}}}
	for _, table := range statements(t) {
		t.Run(filepath.Base(table), func(t *testing.T) {
			files, err := compiler.Compile(t.Context(), filepath.Base(table)+".proto")
			if err != nil {
				t.Fatal(err)
			}
			bytes, _ := generate(t, 0, nil, "--ddl", table+".sql", "--descriptor-out", "-")
			want := new(descriptorpb.DescriptorProto)
			if err := proto.Unmarshal([]byte(bytes), want); err != nil {
				t.Fatal(err)
			}
			got := protodesc.ToDescriptorProto(files[0].Messages().Get(0))
			ignored := protocmp.IgnoreFields(&descriptorpb.FieldDescriptorProto{}, "json_name") // which says nothing new
			if diff := cmp.Diff(want, got, protocmp.Transform(), ignored); diff != "" {
				t.Errorf("the compiled message is another one:\n%s", diff)
			}
		})
	}
}

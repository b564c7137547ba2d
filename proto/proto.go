// Package proto is the protocol's definition, as text and as descriptors. It is for tests and for tools that have to
// do with the protocol's messages by name; the SDK does not use it, and nothing here is registered with the protobuf
// runtime, so that a program may link another Zerobus library beside this one.
//
// There is no generated code. A test makes messages with dynamicpb from the descriptors:
//
//	msg := dynamicpb.NewMessage(proto.Message("EphemeralStreamRequest"))
//
// The descriptors are compiled from the text, and zerobus_service.binpb is checked in. After a change of the text:
//
//	protoc --include_imports --descriptor_set_out=zerobus_service.binpb zerobus_service.proto
//
// The compiler from Python's grpcio-tools does as well: python -m grpc_tools.protoc with the same arguments and -I.
package proto

import (
	_ "embed"
	"fmt"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Text is zerobus_service.proto.
//
//go:embed zerobus_service.proto
var Text string

//go:embed zerobus_service.binpb
var set []byte

var file = sync.OnceValue(func() protoreflect.FileDescriptor {
	var fds descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(set, &fds); err != nil {
		panic(fmt.Sprintf("zerobus_service.binpb: %v", err)) // a damaged source tree
	}
	files, err := protodesc.NewFiles(&fds)
	if err != nil {
		panic(fmt.Sprintf("zerobus_service.binpb: %v", err))
	}
	f, err := files.FindFileByPath("zerobus_service.proto")
	if err != nil {
		panic(fmt.Sprintf("zerobus_service.binpb: %v", err))
	}
	return f
})

// File returns the descriptor of zerobus_service.proto. It belongs to no registry.
func File() protoreflect.FileDescriptor { return file() }

// Message returns the descriptor of the message with that name, or nil.
func Message(name protoreflect.Name) protoreflect.MessageDescriptor {
	return file().Messages().ByName(name)
}

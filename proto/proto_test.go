package proto

import (
	"fmt"
	"regexp"
	"slices"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// fields returns "Message.field = number" for all fields of the file.
func fields(f protoreflect.FileDescriptor) []string {
	var all []string
	for i := range f.Messages().Len() {
		m := f.Messages().Get(i)
		for j := range m.Fields().Len() {
			fd := m.Fields().Get(j)
			all = append(all, fmt.Sprintf("%s.%s = %d", m.Name(), fd.Name(), fd.Number()))
		}
	}
	slices.Sort(all)
	return all
}

// The numbers are the protocol: a change here is a break with every client.
func TestFieldNumbersAreTheProtocols(t *testing.T) {
	want := []string{
		"CloseStreamSignal.duration = 1",
		"CreateIngestStreamRequest.descriptor_proto = 3",
		"CreateIngestStreamRequest.record_type = 4",
		"CreateIngestStreamRequest.table_name = 1",
		"CreateIngestStreamResponse.stream_id = 1",
		"EphemeralStreamRequest.create_stream = 1",
		"EphemeralStreamRequest.first_record = 1000",
		"EphemeralStreamRequest.ingest_record = 2",
		"EphemeralStreamRequest.ingest_record_batch = 3",
		"EphemeralStreamResponse.close_stream_signal = 3",
		"EphemeralStreamResponse.create_stream_response = 1",
		"EphemeralStreamResponse.ingest_record_response = 2",
		"IngestRecordBatchRequest.json_batch = 3",
		"IngestRecordBatchRequest.offset_id = 1",
		"IngestRecordBatchRequest.proto_encoded_batch = 2",
		"IngestRecordRequest.json_record = 3",
		"IngestRecordRequest.offset_id = 1",
		"IngestRecordRequest.proto_encoded_record = 2",
		"IngestRecordResponse.durability_ack_up_to_offset = 1",
		"JsonRecordBatch.records = 1",
		"ProtoEncodedRecordBatch.records = 1",
	}
	if got := fields(File()); !slices.Equal(got, want) {
		t.Errorf("fields are\n%q\nwant\n%q", got, want)
	}
	method := File().Services().ByName("Zerobus").Methods().ByName("EphemeralStream")
	if method == nil || !method.IsStreamingClient() || !method.IsStreamingServer() {
		t.Errorf("databricks.zerobus.Zerobus/EphemeralStream is not a bidirectional stream: %v", method)
	}
	if got := File().Package(); got != "databricks.zerobus" {
		t.Errorf("package is %q", got)
	}
}

// The text and the compiled descriptors are two files; one must not be changed without the other.
func TestDescriptorsAreThoseOfTheText(t *testing.T) {
	inText := regexp.MustCompile(`(?m)^message (\w+)|^ +(?:optional |repeated )?[\w.]+ (\w+) = (\d+);`)
	var got []string
	message := ""
	for _, m := range inText.FindAllStringSubmatch(Text, -1) {
		switch {
		case m[1] != "":
			message = m[1]
		case message != "": // before the first message stand the values of an enum
			got = append(got, fmt.Sprintf("%s.%s = %s", message, m[2], m[3]))
		}
	}
	slices.Sort(got)
	if want := fields(File()); !slices.Equal(got, want) {
		t.Errorf("the text has the fields\n%q\nthe descriptors\n%q", got, want)
	}
}

func TestNothingIsRegistered(t *testing.T) {
	name := Message("EphemeralStreamRequest").FullName()
	if _, err := protoregistry.GlobalTypes.FindMessageByName(name); err == nil {
		t.Errorf("%s is in the global registry", name)
	}
	if d, err := protoregistry.GlobalFiles.FindDescriptorByName(name); err == nil {
		t.Errorf("%s is in the global registry", d.FullName())
	}
}

package delta

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// PROTOCOL.md, "Requirements for Readers": unknown actions and fields are ignored. Lines as Spark and delta-rs write them.
func TestParseCommit_TakesWhatOthersWrite(t *testing.T) {
	text := strings.Join([]string{
		`{"commitInfo":{"timestamp":1764000000123,"operation":"WRITE","operationParameters":{"mode":"Append","partitionBy":[],"limit":3},"isolationLevel":"Serializable","isBlindAppend":false,"readVersion":41,"operationMetrics":{"num_added_files":1,"numOutputRows":"4"},"clientVersion":"delta-rs.0.30","tags":{"a":{"b":[1]}},"txnId":"t"}}`,
		`{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":[],"writerFeatures":["x"],"later":{}}}` + "\r",
		``,
		`{"metaData":{"id":"i","name":null,"description":null,"format":{"provider":"parquet","options":{}},"schemaString":"s","partitionColumns":["p"],"configuration":{"k":"v"},"createdTime":1764000000000}}`,
		`{"txn":{"appId":"a","version":9223372036854775807,"lastUpdated":null}}`,
		`{"domainMetadata":{"domain":"delta.clustering","configuration":"{}","removed":false}}`,
		`{"add":{"path":"p=%2520/f","partitionValues":{"p":null,"q":""},"size":9007199254740993,"modificationTime":5,"dataChange":true,"stats":"{\"numRecords\":1}","tags":{"t":null},"deletionVector":{"storageType":"u","pathOrInlineDv":"ab","offset":1,"sizeInBytes":40,"cardinality":6},"baseRowId":0,"defaultRowCommitVersion":7,"clusteringProvider":"liquid","stats_parsed":{"numRecords":1}}}`,
		`{"remove":{"path":"r","deletionTimestamp":8,"dataChange":false,"extendedFileMetadata":true,"partitionValues":{"p":"1"},"size":0}}`,
		`{"cdc":{"path":"c"}}`,
		`{"sidecar":{"path":"s"}}`,
		`{"add":null}`,
		`{}`,
	}, "\n")
	got, err := parseCommit([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want := &commit{
		protocol: &Protocol{MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{}, WriterFeatures: []string{"x"}},
		metadata: &Metadata{
			ID: "i", Format: Format{Provider: "parquet", Options: map[string]string{}}, SchemaString: "s",
			PartitionColumns: []string{"p"}, Configuration: map[string]string{"k": "v"}, CreatedTime: 1764000000000,
		},
		txns:    []Txn{{AppID: "a", Version: 9223372036854775807}},
		domains: []DomainMetadata{{Domain: "delta.clustering", Configuration: "{}"}},
		adds: []Add{{
			Path: "p=%2520/f", PartitionValues: map[string]*string{"p": nil, "q": new("")}, Size: 9007199254740993, ModificationTime: 5,
			DataChange: true, Stats: `{"numRecords":1}`, Tags: map[string]*string{"t": nil},
			DeletionVector: &DeletionVector{StorageType: "u", PathOrInlineDV: "ab", Offset: new(int32(1)), SizeInBytes: 40, Cardinality: 6},
			BaseRowID:      new(int64(0)), DefaultRowCommitVersion: new(int64(7)), ClusteringProvider: new("liquid"),
		}},
		removes: []Remove{{Path: "r", DeletionTimestamp: 8, ExtendedFileMetadata: true, PartitionValues: map[string]*string{"p": new("1")}, Size: new(int64(0))}},

		infoFirst: true, actions: 11, protocols: 1, metadatas: 1,
	}
	info := parseInfo(got.info)
	got.info = nil
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(commit{})); diff != "" {
		t.Errorf("commit (-want +got):\n%s", diff)
	}
	wantInfo := CommitInfo{
		Timestamp: 1764000000123, Operation: "WRITE", OperationParameters: map[string]string{"mode": "Append", "partitionBy": "[]", "limit": "3"},
		ReadVersion: new(int64(41)), IsolationLevel: "Serializable", IsBlindAppend: new(false),
		OperationMetrics: map[string]string{"num_added_files": "1", "numOutputRows": "4"}, TxnID: "t",
	}
	if diff := cmp.Diff(wantInfo, info); diff != "" {
		t.Errorf("commitInfo (-want +got):\n%s", diff)
	}
}

func TestParseCommit_RefusesWhatIsBroken(t *testing.T) {
	for _, line := range []string{
		`x`, `[]`, `"add"`, `{`, `{"add":{"path":"p"}`, `{"add":{}}`, `{"add":{"path":7}}`, `{"add":{"path":"p","size":1.5}}`, `{"remove":{}}`,
		`{"txn":{"version":1}}`, `{"txn":{"appId":"a","version":"1"}}`, `{"txn":{"appId":"a","version":9223372036854775808}}`,
		`{"metaData":{"id":"x"}}`, `{"domainMetadata":{}}`, `{"protocol":{"minReaderVersion":"1"}}`, `{"add":{"path":"p"}}{"add":{"path":"q"}}`,
	} {
		_, err := parseCommit([]byte("{}\n" + line + "\n"))
		if err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("%s: error %v, want one that names line 2", line, err)
		}
	}
}

func TestParseInfo_TakesAnything(t *testing.T) {
	for _, raw := range []string{``, `null`, `7`, `[]`, `{"timestamp":"x","operation":{},"operationMetrics":[],"readVersion":[]}`} {
		if got := parseInfo([]byte(raw)); got.Timestamp != 0 || got.OperationMetrics != nil {
			t.Errorf("parseInfo(%s) = %+v", raw, got)
		}
	}
}

func TestCommitVersion_KnowsTheNamesOfTheLog(t *testing.T) {
	for _, c := range []struct {
		path       string
		commit     int64 // -1: is none
		checkpoint int64
	}{
		{"_delta_log/00000000000000000000.json", 0, -1},
		{"_delta_log/00000000000000012345.json", 12345, -1},
		{"_delta_log/09223372036854775807.json", 9223372036854775807, -1},
		{"_delta_log/99999999999999999999.json", -1, -1},
		{"_delta_log/0000000000000000000.json", -1, -1},
		{"_delta_log/+0000000000000000001.json", -1, -1},
		{"_delta_log/00000000000000000001.crc", -1, -1},
		{"_delta_log/00000000000000000001.00000000000000000005.compacted.json", -1, -1},
		{"_delta_log/00000000000000000010.checkpoint.parquet", -1, 10},
		{"_delta_log/00000000000000000010.checkpoint.0000000001.0000000003.parquet", -1, 10},
		{"_delta_log/00000000000000000010.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json", -1, 10},
		{"_delta_log/_staged_commits/00000000000000000001.uuid.json", -1, -1},
		{"_delta_log/_last_checkpoint", -1, -1},
		{"00000000000000000000.json", -1, -1},
	} {
		check := func(kind string, got int64, ok bool, want int64) {
			if ok != (want >= 0) || ok && got != want {
				t.Errorf("%s: %s %d, %v; want %d", c.path, kind, got, ok, want)
			}
		}
		v, ok := commitVersion(c.path)
		check("commit", v, ok, c.commit)
		v, ok = checkpointVersion(c.path)
		check("checkpoint", v, ok, c.checkpoint)
	}
	if got := commitPath(12345); got != "_delta_log/00000000000000012345.json" {
		t.Errorf("commitPath(12345) = %s", got)
	}
}

func FuzzParseCommit(f *testing.F) {
	f.Add([]byte(`{"commitInfo":{"timestamp":1,"operationParameters":{"a":1}}}`))
	f.Add([]byte(`{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":[],"writerFeatures":["a"]}}`))
	f.Add([]byte(`{"metaData":{"id":"i","format":{"provider":"parquet","options":{}},"schemaString":"s","partitionColumns":[],"configuration":{}}}`))
	f.Add([]byte("{\"txn\":{\"appId\":\"a\",\"version\":9007199254740993}}\r\n\n{\"x\":null}"))
	f.Add([]byte(`{"add":{"path":"p","partitionValues":{"a":null},"size":1,"modificationTime":1,"dataChange":true,"stats":"{}","tags":{"a":null}}}`))
	f.Add([]byte(`{"remove":{"path":"p","dataChange":true,"deletionVector":{"storageType":"u","pathOrInlineDv":"x","sizeInBytes":1,"cardinality":1}}}`))
	f.Add([]byte(`{"domainMetadata":{"domain":"d","configuration":"","removed":true}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseCommit(data)
		if err != nil {
			return
		}
		info := parseInfo(c.info)
		body, err := encode(info, c)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := parseCommit(body)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, body)
		}
		// Written and read once more it is the same, bytes and all.
		body2, err := encode(parseInfo(again.info), again)
		if err != nil || string(body) != string(body2) {
			t.Fatalf("%v, first\n%s\nthen\n%s", err, body, body2)
		}
		b := newBuilder("fuzz")
		b.apply(c)
		b.apply(again)
		live, size := 0, int64(0)
		for a := range b.snapshot().Files() {
			live++
			size += a.Size
		}
		if s := b.snapshot(); live != s.NumFiles() || live != len(b.index) || size != s.SizeBytes() {
			t.Errorf("%d files of %d bytes, the snapshot says %d of %d, the index %d", live, size, s.NumFiles(), s.SizeBytes(), len(b.index))
		}
		numRecords(string(data))
	})
}

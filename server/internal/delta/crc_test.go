package delta

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// withChecksum is a log of three versions, and the checksum file of the last.
func withChecksum(t *testing.T) (store lake.Store, sum map[string]any) {
	t.Helper()
	store = lake.NewMemory()
	meta := `{"id":"table-id","format":{"provider":"parquet","options":{}},"schemaString":` + fmt.Sprintf("%q", testSchema) + `,"partitionColumns":[],"configuration":{},"createdTime":7}`
	protocol := `{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors","domainMetadata"]}`
	writeRaw(t, store, 0, `{"protocol":`+protocol+`}`, `{"metaData":`+meta+`}`)
	writeRaw(t, store, 1, `{"commitInfo":{"operation":"WRITE","txnId":"other"}}`, addLine("f", ""), addLine("g", ""), `{"txn":{"appId":"a","version":4,"lastUpdated":9}}`,
		`{"domainMetadata":{"domain":"d","configuration":"{}","removed":false}}`)
	writeRaw(t, store, 2, `{"commitInfo":{"operation":"DELETE","txnId":"mine"}}`, `{"remove":{"path":"g","dataChange":true}}`,
		addLine("f", vectorZ85), `{"remove":{"path":"f","dataChange":true}}`)
	text := `{"txnId":"mine","tableSizeBytes":3,"numFiles":1,"numMetadata":1,"numProtocol":1,"metadata":` + meta + `,"protocol":` + protocol + `,
		"setTransactions":[{"appId":"a","version":4,"lastUpdated":9}],"domainMetadata":[{"domain":"d","configuration":"{}","removed":false}],
		"numDeletedRecordsOpt":6,"numDeletionVectorsOpt":1,
		"allFiles":[{"path":"f","partitionValues":{},"size":3,"modificationTime":1,"dataChange":false` + vectorZ85 + `}],
		"fileSizeHistogram":{"sortedBinBoundaries":[0,2,4],"fileCounts":[0,1,0],"totalBytes":[0,3,0]}}`
	if err := json.Unmarshal([]byte(text), &sum); err != nil {
		t.Fatal(err)
	}
	return store, sum
}

// PROTOCOL.md, "Version Checksum File"; spec/delta.md §9.10.
func TestLint_DT10_ChecksumIsTheRecomputedState(t *testing.T) {
	for _, c := range []struct{ field, value, want string }{
		{"", "", ""},
		{"numFiles", "2", "numFiles is 2, want 1"},
		{"numFiles", "", "numFiles is missing"},
		{"tableSizeBytes", "4", "tableSizeBytes is 4, want 3"},
		{"numMetadata", "0", "numMetadata is 0, want 1"},
		{"numProtocol", "2", "numProtocol is 2, want 1"},
		{"txnId", `"other"`, `txnId is "other", the commit has "mine"`},
		{"txnId", "", ""},
		{"metadata", "", "metadata is missing"},
		{"metadata", `{"id":"x","schemaString":"{}"}`, "metadata is"},
		{"metadata", `{"id":"x"}`, "without schemaString"},
		{"protocol", "", "protocol is missing"},
		{"protocol", `{"minReaderVersion":1,"minWriterVersion":2}`, "protocol is"},
		{"protocol", `{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],"writerFeatures":["domainMetadata","deletionVectors"]}`, ""},
		{"setTransactions", `[]`, "setTransactions are"},
		{"setTransactions", "", ""},
		{"setTransactions", `[{"appId":"a","version":3,"lastUpdated":9}]`, "setTransactions are"},
		{"setTransactions", `[{"appId":"a","version":4,"lastUpdated":9},{"appId":"a","version":4,"lastUpdated":9}]`, "setTransactions has a twice"},
		{"domainMetadata", `[]`, "domainMetadata are"},
		{"inCommitTimestampOpt", "5", "the table has no in-commit timestamps"},
		{"numDeletedRecordsOpt", "0", "numDeletedRecordsOpt is 0, want 6"},
		{"numDeletionVectorsOpt", "0", "numDeletionVectorsOpt is 0, want 1"},
		{"allFiles", `[]`, "allFiles lacks 1"},
		{"allFiles", `[{"path":"g","size":3}]`, "allFiles has g"},
		{"fileSizeHistogram", `{"sortedBinBoundaries":[0,4],"fileCounts":[0,1],"totalBytes":[0,3]}`, "fileSizeHistogram has"},
		{"numFiles", `"one"`, "cannot unmarshal"},
	} {
		t.Run(c.field+" "+c.want, func(t *testing.T) {
			store, sum := withChecksum(t)
			switch {
			case c.value == "":
				delete(sum, c.field)
			default:
				sum[c.field] = json.RawMessage(c.value)
			}
			data, err := json.Marshal(sum)
			if err != nil {
				t.Fatal(err)
			}
			put(t, store, checksumPath(2), data)
			found, err := Inspect(t.Context(), store, LintOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if found.Checksums != 1 || found.Versions != 3 || found.Snapshot.Version != 2 {
				t.Errorf("looked at %d checksums, %d versions, up to %d", found.Checksums, found.Versions, found.Snapshot.Version)
			}
			var texts []string
			for _, p := range found.Problems {
				if p.In != InChecksum || p.Version != 2 || p.Path != checksumPath(2) {
					t.Errorf("problem %+v is not about the checksum file", p)
				}
				texts = append(texts, p.Text)
			}
			all := strings.Join(texts, "\n")
			if c.want == "" && all != "" || !strings.Contains(all, c.want) {
				t.Errorf("problems %q, want %q", texts, c.want)
			}
		})
	}
}

// PROTOCOL.md, "Version Checksum File": inCommitTimestampOpt is there when the table has in-commit timestamps, and only then.
func TestLint_DT10_ChecksumHasTheTimestampOfItsCommit(t *testing.T) {
	for _, c := range []struct{ field, want string }{
		{`"inCommitTimestampOpt":7,`, ""},
		{`"inCommitTimestampOpt":8,`, "inCommitTimestampOpt is 8, want 7"},
		{``, "inCommitTimestampOpt is missing"},
	} {
		store := lake.NewMemory()
		meta := `{"id":"table-id","format":{"provider":"parquet","options":{}},"schemaString":` + fmt.Sprintf("%q", testSchema) +
			`,"partitionColumns":[],"configuration":{"delta.enableInCommitTimestamps":"true"}}`
		protocol := `{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["inCommitTimestamp"]}`
		writeRaw(t, store, 0, `{"commitInfo":{"inCommitTimestamp":7}}`, `{"protocol":`+protocol+`}`, `{"metaData":`+meta+`}`)
		put(t, store, checksumPath(0), []byte(`{`+c.field+`"tableSizeBytes":0,"numFiles":0,"numMetadata":1,"numProtocol":1,"metadata":`+meta+`,"protocol":`+protocol+`}`))
		problems, err := Lint(t.Context(), store, LintOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(problems); !strings.Contains(got, c.want) || (len(problems) == 0) != (c.want == "") {
			t.Errorf("%s: %s, want %s", c.field, got, c.want)
		}
	}
}

// Whatever is in a checksum file, it is compared.
func FuzzChecksum(f *testing.F) {
	f.Add(`{"tableSizeBytes":1,"numFiles":1,"metadata":{"id":"x","schemaString":"{}"},"protocol":{},"setTransactions":[{}],"allFiles":[{"path":"f"}],"histogramOpt":{"sortedBinBoundaries":[3,1]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var c checksumFile
		if json.Unmarshal([]byte(text), &c) != nil {
			return
		}
		s := newBuilder("t")
		s.apply(&commit{adds: []Add{file("f")}})
		if len(c.compare(&s.draft, "id")) == 0 {
			t.Errorf("%s is that of a table without metadata", text)
		}
	})
}

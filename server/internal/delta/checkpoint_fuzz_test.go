package delta

import (
	"bytes"
	"context"
	"runtime"
	"strings"
	"testing"
)

// Whatever is in a checkpoint's file, it is read or refused, without a panic and without much memory.
func FuzzCheckpoint(f *testing.F) {
	state := &checkpointState{}
	if err := state.readJSON([]byte(strings.Join([]string{
		`{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["x"],"writerFeatures":["x"]}}`,
		`{"metaData":{"id":"id","format":{"provider":"parquet","options":{"o":"p"}},"schemaString":"{}","partitionColumns":["p"],"configuration":{"k":"v"}}}`,
		`{"txn":{"appId":"app","version":1}}`,
		`{"domainMetadata":{"domain":"d","configuration":"{}","removed":false}}`,
		`{"add":{"path":"a","partitionValues":{"p":null,"q":"r"},"size":1,"modificationTime":2,"dataChange":true,"stats":"{}","deletionVector":{"storageType":"u","pathOrInlineDv":"x","offset":1,"sizeInBytes":2,"cardinality":3}}}`,
		`{"remove":{"path":"b","deletionTimestamp":9,"dataChange":true,"size":1}}`,
	}, "\n")), 7); err != nil {
		f.Fatal(err)
	}
	b := newBuilder("t")
	b.load(7, state)
	s := b.snapshot()
	for _, rows := range []func() ([]byte, error){
		func() ([]byte, error) {
			var out bytes.Buffer
			_, err := encodeRows(context.Background(), &out, rowsOf(s, s.removes), "fuzz")
			return out.Bytes(), err
		},
		func() ([]byte, error) {
			var out bytes.Buffer
			_, err := encodeRows(context.Background(), &out, rowsOfV2(s, s.removes), "fuzz")
			return out.Bytes(), err
		},
	} {
		data, err := rows()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, false)
	}
	f.Add([]byte(`{"checkpointMetadata":{"version":7}}`+"\n"+`{"sidecar":{"path":"a%2Fb","sizeInBytes":1}}`), true)
	f.Fuzz(func(t *testing.T, data []byte, isJSON bool) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s := &checkpointState{}
		read := s.readParquet
		if isJSON {
			read = s.readJSON
		}
		if read(data, 7) == nil {
			for i := range s.sidecars {
				if p, err := s.sidecars[i].path(); err == nil && (!strings.HasPrefix(p, sidecarDir) || strings.Contains(p[len(sidecarDir):], "/")) {
					t.Errorf("sidecar at %q", p)
				}
			}
			b := newBuilder("t")
			b.load(7, s)
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 1<<30 {
			t.Errorf("%d bytes took %d bytes of memory", len(data), used)
		}
	})
}

func FuzzHint(f *testing.F) {
	f.Add([]byte(`{"version":8,"size":1,"sizeInBytes":2,"numOfAddFiles":3,"parts":4,"checksum":"x"}`))
	f.Add([]byte(`{"version":9223372036854775807}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if v, err := parseHint(data); err == nil && v < 0 {
			t.Errorf("version %d", v)
		}
	})
}

func FuzzCheckpointPath(f *testing.F) {
	for _, p := range []string{checkpointPath(7), logDir + "00000000000000000010.checkpoint.0000000001.0000000003.parquet", logDir + "00000000000000000010.checkpoint.x.json"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		if c, ok := parseCheckpointPath(p); ok && (c.version < 0 || c.parts < 0 || c.part > c.parts || (c.parts > 0) != (c.part > 0)) {
			t.Errorf("%q is %+v", p, c)
		}
	})
}

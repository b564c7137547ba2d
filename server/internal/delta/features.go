package delta

import (
	"fmt"
	"slices"
	"strings"
)

// The highest versions of PROTOCOL.md; a higher one is a protocol that does not exist yet.
const (
	maxReaderVersion = 3
	maxWriterVersion = 7
)

// appendable are the features under which an append is right as it is written here: those that ask nothing of an append, those whose
// demands are met, and those of which checkUse proves that the table does not use them. A legacy writer version implies features of
// this list only (PROTOCOL.md, "Valid Feature Names in Table Features").
var appendable = map[string]bool{
	"appendOnly":          true, // an append removes nothing
	"changeDataFeed":      true, // readers take inserts from the add actions
	"timestampNtz":        true, // a type, written by the Parquet stage
	"deletionVectors":     true, // of the files of others; see Tight
	"variantType":         true, // likewise, never shredded
	"v2Checkpoint":        true, // speaks to who writes checkpoints, see encodeCheckpoint
	"vacuumProtocolCheck": true, // speaks to VACUUM
	inCommitTimestamp:     true, // see Table.stamp
	rowTracking:           true, // see builder.assignRows
	domainMetadata:        true, // an append leaves the domains as they are, but for that of row tracking

	"invariants":          true, // unless used
	"checkConstraints":    true, // unless used
	"generatedColumns":    true, // unless used
	"identityColumns":     true, // unless used
	"allowColumnDefaults": true, // unless used

	"columnMapping": true, // see mapping.go
	"clustering":    true, // rows come as they come; Indexed has its columns
}

// usedBy maps the keys of a field's metadata that make demands on a writer to the feature that gives them meaning. The length
// of CHAR and VARCHAR is not among them: records are held to it when they are decoded.
var usedBy = map[string]string{
	"delta.invariants":              "invariants",
	"delta.generationExpression":    "generatedColumns",
	"CURRENT_DEFAULT":               "allowColumnDefaults",
	"delta.identity.start":          "identityColumns",
	"delta.identity.step":           "identityColumns",
	"delta.identity.allowExplicit":  "identityColumns",
	"delta.identity.allowUserValue": "identityColumns",
}

// CheckWritable tells whether this writer may append to the table: nil, or an *UnsupportedError that names the first
// feature that stands against it. Append asks it again whenever protocol or metadata changed; callers ask it before they
// take records for the table.
func CheckWritable(s *Snapshot) error {
	refuse := func(feature, format string, args ...any) error {
		return &UnsupportedError{Table: s.name(), Feature: feature, Reason: fmt.Sprintf(format, args...)}
	}
	p := &s.Protocol
	if v := p.MinReaderVersion; v < 1 || v > maxReaderVersion {
		return refuse("minReaderVersion", "version %d is unknown, 1 to %d are known", v, maxReaderVersion)
	}
	if v := p.MinWriterVersion; v < 1 || v > maxWriterVersion {
		return refuse("minWriterVersion", "version %d is unknown, 1 to %d are known", v, maxWriterVersion)
	}
	if p.MinReaderVersion == maxReaderVersion && p.MinWriterVersion != maxWriterVersion {
		return refuse("minReaderVersion", "version 3 with writer version %d breaks the protocol", p.MinWriterVersion)
	}
	if p.MinWriterVersion == maxWriterVersion {
		for _, f := range p.WriterFeatures {
			if !appendable[f] {
				return refuse(f, "not supported")
			}
		}
	}
	if p.MinReaderVersion == maxReaderVersion {
		for _, f := range p.ReaderFeatures {
			if !slices.Contains(p.WriterFeatures, f) {
				return refuse(f, "a reader feature that is not in writerFeatures breaks the protocol")
			}
		}
	}
	if err := s.checkTimestamps(refuse); err != nil {
		return err
	}
	if err := s.checkRows(refuse); err != nil {
		return err
	}
	return checkUse(s, refuse)
}

// checkUse looks for the demands of features in the table's metadata. They are refused whatever the protocol version says:
// a table that carries one wants it kept.
func checkUse(s *Snapshot, refuse func(feature, format string, args ...any) error) error {
	if p := s.Metadata.Format.Provider; p != "parquet" {
		return refuse("format", "data files are %q, not parquet", p)
	}
	for _, key := range sortedKeys(s.Metadata.Configuration) {
		if strings.HasPrefix(key, "delta.constraints.") {
			return refuse("checkConstraints", "the table has the constraint %s", strings.TrimPrefix(key, "delta.constraints."))
		}
	}
	schema, err := parseSchema(s.Metadata.SchemaString)
	if err != nil {
		return refuse("schema", "%v", err)
	}
	if err := checkMapping(s, schema, refuse); err != nil {
		return err
	}
	return schema.walk("", func(path string, f *field) error {
		for _, key := range sortedKeys(f.Metadata) {
			feature := usedBy[key]
			if feature == "" && strings.HasPrefix(key, "delta.identity.") {
				feature = "identityColumns"
			}
			if feature != "" {
				return refuse(feature, "column %s has %s", path, key)
			}
		}
		return nil
	})
}

// Tight marks the statistics of a new file as exact, in a table whose files can lose rows to deletion vectors: then those of
// others may be bounds alone.
func (s *Snapshot) Tight(stats string) string {
	if !slices.Contains(s.Protocol.WriterFeatures, "deletionVectors") || !strings.HasSuffix(stats, "}") {
		return stats
	}
	return stats[:len(stats)-1] + `,"tightBounds":true}`
}

package delta

import "slices"

// implied are the features of each legacy writer version beyond those of the versions before it (PROTOCOL.md, "Valid Feature Names
// in Table Features").
var implied = [maxWriterVersion][]string{
	2: {"appendOnly", "invariants"},
	3: {"checkConstraints"},
	4: {"changeDataFeed", "generatedColumns"},
	5: {"columnMapping"},
	6: {"identityColumns"},
}

// With is the protocol with one more feature that readers must know as well: the same one if it has it already. A protocol of
// legacy versions becomes one of features and lists what its versions implied.
func (p Protocol) With(feature string) Protocol {
	if slices.Contains(p.WriterFeatures, feature) {
		return p
	}
	out := Protocol{MinReaderVersion: maxReaderVersion, MinWriterVersion: maxWriterVersion, ReaderFeatures: []string{}}
	switch {
	case p.MinReaderVersion == maxReaderVersion:
		out.ReaderFeatures = slices.Clone(p.ReaderFeatures)
	case p.MinReaderVersion == 2:
		out.ReaderFeatures = append(out.ReaderFeatures, "columnMapping")
	}
	if p.MinWriterVersion == maxWriterVersion {
		out.WriterFeatures = slices.Clone(p.WriterFeatures)
	} else {
		for v := range p.MinWriterVersion + 1 {
			out.WriterFeatures = append(out.WriterFeatures, implied[v]...)
		}
	}
	for _, f := range out.ReaderFeatures { // a reader's feature is a writer's
		if !slices.Contains(out.WriterFeatures, f) {
			out.WriterFeatures = append(out.WriterFeatures, f)
		}
	}
	out.ReaderFeatures = append(out.ReaderFeatures, feature)
	out.WriterFeatures = append(out.WriterFeatures, feature)
	return out
}

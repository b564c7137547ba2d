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

// lists tells whether the protocol has the feature in its list.
func (p *Protocol) lists(feature string) bool {
	return p.MinWriterVersion == maxWriterVersion && slices.Contains(p.WriterFeatures, feature)
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
	out.WriterFeatures = p.writerFeatures()
	for _, f := range out.ReaderFeatures { // a reader's feature is a writer's
		if !slices.Contains(out.WriterFeatures, f) {
			out.WriterFeatures = append(out.WriterFeatures, f)
		}
	}
	out.ReaderFeatures = append(out.ReaderFeatures, feature)
	out.WriterFeatures = append(out.WriterFeatures, feature)
	return out
}

// withWriter is the same for a feature that is the writers' alone.
func (p Protocol) withWriter(feature string) Protocol {
	if p.lists(feature) {
		return p
	}
	p.WriterFeatures = append(p.writerFeatures(), feature)
	p.MinWriterVersion = maxWriterVersion
	return p
}

// writerFeatures is a list of the features that the protocol has or implies.
func (p *Protocol) writerFeatures() []string {
	if p.MinWriterVersion == maxWriterVersion {
		return slices.Clone(p.WriterFeatures)
	}
	var out []string
	for v := range p.MinWriterVersion + 1 {
		out = append(out, implied[v]...)
	}
	return out
}

// suiting is the protocol that a change of properties asks for: one that is turned on makes its feature supported. One that was on
// without its feature has meant nothing, and goes on to.
func (p Protocol) suiting(was, is *Metadata) Protocol {
	before, after := Snapshot{Metadata: *was}, Snapshot{Metadata: *is}
	if after.isTrue(enableTimestamps) && !before.isTrue(enableTimestamps) {
		p = p.withWriter(inCommitTimestamp)
	}
	return p
}

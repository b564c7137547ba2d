package delta

import (
	"fmt"
	"iter"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// Snapshot is the state of a table at one version. It never changes, and nothing that it hands out may be changed.
type Snapshot struct {
	Version  int64
	Protocol Protocol
	Metadata Metadata
	Txns     map[string]Txn            // the latest by AppID, in the order of the log
	Domains  map[string]DomainMetadata // by domain, without removed ones

	table string // the place of the table, for errors
	rev   int    // counts changes of protocol and metadata
	lossy bool   // read from a checkpoint that has statistics in a form that is not kept
	stamp *int64 // the commit's inCommitTimestamp; nil when it has none, or none was found
	files files

	// removes are tombstones, in the order of the log; see tombstones for those that count. Snapshots share the memory as they
	// do that of files.
	removes []Remove
}

// files is the list of live files. Snapshots of one Table share the list's memory: each holds its own length, files are
// appended behind it, and dead ones are marked in a bit set that is copied before it is changed.
type files struct {
	adds  []Add
	dead  []uint64 // bit i: adds[i] is removed; may be shorter than adds
	live  int
	bytes int64 // of the live files
}

func (f *files) isDead(i int) bool {
	return i/64 < len(f.dead) && f.dead[i/64]&(1<<(i%64)) != 0
}

// Files yields the live files in the order in which they came into the table.
func (s *Snapshot) Files() iter.Seq[Add] {
	return func(yield func(Add) bool) {
		for i := range s.files.adds {
			if !s.files.isDead(i) && !yield(s.files.adds[i]) {
				return
			}
		}
	}
}

// NumFiles is the number of live files.
func (s *Snapshot) NumFiles() int { return s.files.live }

// SizeBytes is the size of the live files together.
func (s *Snapshot) SizeBytes() int64 { return s.files.bytes }

// name is what errors call the table.
func (s *Snapshot) name() string {
	if s.Metadata.Name != "" {
		return s.Metadata.Name
	}
	return s.table
}

// differs tells what another state of the same version has that is not the same, or returns nothing. What a checkpoint need not
// keep is not compared: dataChange, and statistics and txns where the table allows it.
func (s *Snapshot) differs(o *Snapshot) string {
	if !reflect.DeepEqual(s.Protocol, o.Protocol) {
		return fmt.Sprintf("protocol is %+v, want %+v", o.Protocol, s.Protocol)
	}
	if !reflect.DeepEqual(s.Metadata, o.Metadata) {
		return fmt.Sprintf("metaData is %+v, want %+v", o.Metadata, s.Metadata)
	}
	if _, expire := s.property(txnRetention); !expire && !maps.Equal(s.Txns, o.Txns) {
		return fmt.Sprintf("txns are %v, want %v", o.Txns, s.Txns)
	}
	if !maps.Equal(s.Domains, o.Domains) {
		return fmt.Sprintf("domainMetadata is %v, want %v", o.Domains, s.Domains)
	}
	plain := func(a Add) Add {
		a.DataChange = false
		if s.lossy || o.lossy {
			a.Stats = ""
		}
		return a
	}
	left := make(map[string]Add, s.NumFiles())
	for a := range s.Files() {
		left[fileKey(a.Path, a.DeletionVector)] = plain(a)
	}
	for a := range o.Files() {
		key := fileKey(a.Path, a.DeletionVector)
		want, ok := left[key]
		switch {
		case !ok:
			return fmt.Sprintf("file %s is in it twice, or not in the table", a.Path)
		case !reflect.DeepEqual(want, plain(a)):
			return fmt.Sprintf("file %s is %+v, want %+v", a.Path, plain(a), want)
		}
		delete(left, key)
	}
	if len(left) > 0 {
		return fmt.Sprintf("file %s is missing", left[sortedKeys(left)[0]].Path)
	}
	return ""
}

// builder moves a snapshot from version to version.
//
// Invariant: what an earlier snapshot can see is never written to. adds grows behind the length of every earlier snapshot;
// maps and the bit set are copied before the first change after a snapshot was taken, which the own flags tell.
type builder struct {
	draft Snapshot
	index map[string]int // position in adds of every live file, by fileKey
	kept  int            // how many removes were left when expired ones were dropped last
	now   func() time.Time

	ownTxns, ownDomains, ownDead bool
}

func newBuilder(table string) *builder {
	return &builder{
		draft: Snapshot{Version: -1, table: table},
		index: map[string]int{},
		now:   time.Now,
	}
}

// snapshot returns the state as it is now.
func (b *builder) snapshot() *Snapshot {
	s := b.draft
	b.ownTxns, b.ownDomains, b.ownDead = false, false, false
	return &s
}

// load begins with the state of a checkpoint.
func (b *builder) load(version int64, s *checkpointState) {
	b.draft.Version = version - 1
	b.draft.lossy = s.lossy
	b.apply(&s.commit)
}

// apply moves the draft to the next version. It cannot fail: what can be wrong with a commit is found when it is parsed.
func (b *builder) apply(c *commit) {
	d := &b.draft
	d.Version++
	d.stamp = c.stamp
	if c.protocol != nil {
		d.Protocol = *c.protocol
		d.rev++
	}
	if c.metadata != nil {
		d.Metadata = *c.metadata
		d.rev++
	}
	if len(c.txns) > 0 && !b.ownTxns {
		d.Txns, b.ownTxns = cloneMap(d.Txns), true
	}
	for _, t := range c.txns {
		d.Txns[t.AppID] = t
	}
	if len(c.domains) > 0 && !b.ownDomains {
		d.Domains, b.ownDomains = cloneMap(d.Domains), true
	}
	for _, m := range c.domains {
		if m.Removed {
			delete(d.Domains, m.Domain)
		} else {
			d.Domains[m.Domain] = m
		}
	}
	// A commit has at most one action for a file, but a new deletion vector is a remove and an add of one path. Their keys
	// differ; removes first keeps the index right all the same.
	made := int64(-1) // when, in milliseconds
	for i := range c.removes {
		r := c.removes[i]
		b.inherit(&r)
		b.remove(fileKey(r.Path, r.DeletionVector))
		r.Stats, r.Tags = "", nil     // which a checkpoint has not
		if r.DeletionTimestamp == 0 { // which the protocol allows, and by which the file might be deleted at once
			if made < 0 {
				made = c.time()
			}
			r.DeletionTimestamp = made
		}
		d.removes = append(d.removes, r)
	}
	for i := range c.adds {
		b.add(c.adds[i])
	}
	b.compact()
	b.expire()
}

func (b *builder) add(a Add) {
	key := fileKey(a.Path, a.DeletionVector)
	b.remove(key) // added again, with other tags or statistics: the latest action counts
	f := &b.draft.files
	b.index[key] = len(f.adds)
	f.adds = append(f.adds, a)
	f.live++
	f.bytes += a.Size
}

func (b *builder) remove(key string) {
	i, ok := b.index[key]
	if !ok {
		return
	}
	delete(b.index, key)
	f := &b.draft.files
	if !b.ownDead || i/64 >= len(f.dead) {
		grown := make([]uint64, (len(f.adds)+63)/64)
		copy(grown, f.dead)
		f.dead, b.ownDead = grown, true
	}
	f.dead[i/64] |= 1 << (i % 64)
	f.live--
	f.bytes -= f.adds[i].Size
}

// compact drops the dead files when they are the greater part, so that memory follows the live ones.
func (b *builder) compact() {
	f := &b.draft.files
	if len(f.adds) < 1024 || f.live > len(f.adds)/2 {
		return
	}
	live := make([]Add, 0, f.live+f.live/4)
	for a := range b.draft.Files() {
		b.index[fileKey(a.Path, a.DeletionVector)] = len(live)
		live = append(live, a)
	}
	f.adds, f.dead, b.ownDead = live, nil, false
}

// expire drops tombstones that no checkpoint needs, when they may be half of all. The time is that of the latest remove: what
// it drops has expired at any later time. But a writer's clock may be far ahead of ours, and would have those of all others
// dropped; then ours counts.
func (b *builder) expire() {
	d := &b.draft
	if len(d.removes) < 1024 || len(d.removes) < 2*b.kept {
		return
	}
	latest := int64(0)
	for i := range d.removes {
		latest = max(latest, d.removes[i].DeletionTimestamp)
	}
	latest = min(latest, b.now().UnixMilli())
	left := d.tombstones(time.UnixMilli(latest))
	d.removes, b.kept = slices.Clone(left), len(left)
}

// tombstones returns the removes that a checkpoint written now must have: the latest for each file that is not in the table,
// until the file may be deleted (PROTOCOL.md, "Action Reconciliation").
func (s *Snapshot) tombstones(now time.Time) []Remove {
	if len(s.removes) == 0 {
		return nil
	}
	after := int64(math.MinInt64) // without a retention that can be read, all are kept
	if keep, err := s.retention(deletedFileRetention); err == nil {
		after = now.Add(-keep).UnixMilli()
	}
	latest := map[string]int{}
	for i := range s.removes {
		latest[fileKey(s.removes[i].Path, s.removes[i].DeletionVector)] = i
	}
	for i := range s.files.adds {
		if !s.files.isDead(i) {
			delete(latest, fileKey(s.files.adds[i].Path, s.files.adds[i].DeletionVector))
		}
	}
	out := make([]Remove, 0, len(latest))
	for i := range s.removes {
		r := &s.removes[i]
		if at, ok := latest[fileKey(r.Path, r.DeletionVector)]; ok && at == i && r.DeletionTimestamp > after {
			out = append(out, *r)
		}
	}
	return out
}

// fileKey identifies a logical file: its path and its deletion vector (PROTOCOL.md, "Add File and Remove File").
func fileKey(path string, dv *DeletionVector) string {
	if dv == nil {
		return path
	}
	key := path + "\x00" + dv.StorageType + dv.PathOrInlineDV
	if dv.Offset != nil {
		key += "@" + strconv.FormatInt(int64(*dv.Offset), 10)
	}
	return key
}

func cloneMap[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return maps.Clone(m)
}

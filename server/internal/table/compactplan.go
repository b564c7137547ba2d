package table

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/delta"
)

// Compaction are the settings of compaction in the background. Zero values mean the defaults.
type Compaction struct {
	Off       bool
	SmallFile int64         // size in bytes below which a file is small; default 32 MiB
	Target    int64         // size in bytes that files are rewritten to at most; default 128 MiB
	MinFiles  int           // small files of a partition that make a rewrite worth it; default 16, at least 2
	MinAge    time.Duration // files wait for so long, so that a burst is rewritten once; default 1 min
}

// Defaults of [Compaction].
const (
	DefaultSmallFile    = 32 << 20
	DefaultTarget       = 128 << 20
	DefaultMinFiles     = 16
	defaultCompactAfter = time.Minute
)

func (c Compaction) withDefaults() Compaction {
	c.SmallFile = cmp.Or(c.SmallFile, DefaultSmallFile)
	c.Target = cmp.Or(c.Target, DefaultTarget)
	c.MinFiles = max(2, cmp.Or(c.MinFiles, DefaultMinFiles))
	c.MinAge = cmp.Or(c.MinAge, defaultCompactAfter)
	return c
}

// gain is how many times as large as its largest file the rest of a group must be in the background. It keeps what was rewritten
// from being rewritten again with every few files that come after it: each time the rows of a file find themselves in one five times as
// large, so on their way from 200 KiB to 32 MiB they are rewritten three or four times. Who wants few files rewritten asks for less.
const gain = 4

// compactPlan chooses the files that are rewritten together. Rows keep their order: a group has files of one partition that came one after
// the other, with no file between that is not rewritten. Pure.
type compactPlan struct {
	small, target int64 // bytes
	minFiles      int   // of a partition; and of a group to which files may still come
	minClosed     int   // of a group to which none will come
	gain          int64 // 0: none is asked
	until         int64 // insertion time of the youngest file that counts, in microseconds
	leave         func(path string) bool
}

// background is the plan of compaction in the background. Files of the millisecond that is MinAge ago do not count yet: others of the same
// time may follow, and would come before what these are rewritten to.
func (c *Compaction) background(now time.Time, leave func(string) bool) compactPlan {
	return compactPlan{
		small: c.SmallFile, target: c.Target, minFiles: c.MinFiles, minClosed: 2, gain: min(gain, int64(c.MinFiles-1)/2),
		until: now.Add(-c.MinAge).UnixMilli()*1000 - 1, leave: leave,
	}
}

// insertionTime is the tag for the time at which the rows of a file came into the table, the latest of them, in microseconds. Spark
// has it for the same purpose. A file without it has the time at which it was made.
const insertionTime = "INSERTION_TIME"

func insertedAt(f *delta.Add) int64 {
	if text := f.Tags[insertionTime]; text != nil {
		if at, err := strconv.ParseInt(*text, 10, 64); err == nil {
			return at
		}
	}
	return f.ModificationTime * 1000
}

// byInsertion sorts files by the time of their rows; files of the same time stay in the order of the table.
func byInsertion(files []delta.Add) {
	slices.SortStableFunc(files, func(a, b delta.Add) int { return cmp.Compare(insertedAt(&a), insertedAt(&b)) })
}

// candidate tells whether a file may be rewritten. Rows that a deletion vector removes are not to come back, files outside of the
// table are another's, and files that were clustered are in an order of their own.
func (p *compactPlan) candidate(f *delta.Add) bool {
	return f.Size < p.small && f.DeletionVector == nil && f.ClusteringProvider == nil && insertedAt(f) <= p.until &&
		!isAbsolute(f.Path) && !p.leave(f.Path)
}

// groups are the files to rewrite, each group into one file.
func (p *compactPlan) groups(s *delta.Snapshot) [][]delta.Add {
	type partition struct {
		count  int         // of candidates
		oldest int64       // of them
		files  []delta.Add // candidates, and empty ones in the places of others
	}
	key := partitionKey{}
	partitions := map[string]*partition{}
	var order []*partition
	for f := range s.Files() {
		if !p.candidate(&f) {
			continue
		}
		k := key.of(f.PartitionValues)
		part := partitions[string(k)]
		if part == nil {
			part = &partition{oldest: insertedAt(&f)}
			partitions[string(k)] = part
			order = append(order, part)
		}
		part.count++
		part.oldest = min(part.oldest, insertedAt(&f))
	}
	order = slices.DeleteFunc(order, func(part *partition) bool { return part.count < p.minFiles })
	if len(order) == 0 {
		return nil
	}
	for f := range s.Files() {
		part := partitions[string(key.of(f.PartitionValues))]
		switch at := insertedAt(&f); {
		case part == nil, part.count < p.minFiles, at < part.oldest, at > p.until:
			continue
		case p.candidate(&f):
			part.files = append(part.files, f)
		default:
			part.files = append(part.files, delta.Add{ModificationTime: f.ModificationTime, Tags: f.Tags})
		}
	}
	var groups [][]delta.Add
	for _, part := range order {
		byInsertion(part.files)
		rest := part.files
		for len(rest) > 0 {
			n := slices.IndexFunc(rest, func(f delta.Add) bool { return f.Path == "" })
			if n < 0 {
				groups = p.divide(groups, rest, false)
				break
			}
			groups = p.divide(groups, rest[:n], true)
			rest = rest[n+1:]
		}
	}
	return groups
}

// divide makes groups of files that stand one behind the other. closed: no file will come behind the last one.
func (p *compactPlan) divide(groups [][]delta.Add, run []delta.Add, closed bool) [][]delta.Add {
	if len(run) < 2 {
		return groups
	}
	total, largest := int64(0), 0
	for i := range run {
		total += run[i].Size
		if run[i].Size > run[largest].Size {
			largest = i
		}
	}
	if p.gain > 0 && (p.gain+1)*run[largest].Size > total {
		groups = p.divide(groups, run[:largest], true)
		return p.divide(groups, run[largest+1:], closed)
	}
	for len(run) > 0 {
		n, size := 0, int64(0)
		for n < len(run) && (n == 0 || size+run[n].Size <= p.target) {
			size += run[n].Size
			n++
		}
		least := p.minFiles
		if closed || n < len(run) {
			least = p.minClosed
		}
		if n >= max(2, least) {
			groups = append(groups, run[:n:n])
		}
		run = run[n:]
	}
	return groups
}

// partitionKey makes texts that are equal for the values of one partition.
type partitionKey struct {
	columns []string
	text    []byte
}

// of gives the text, which is good until the next call. An empty value stands for null.
func (k *partitionKey) of(values map[string]*string) []byte {
	if len(values) != len(k.columns) {
		k.columns = slices.Sorted(maps.Keys(values))
	}
	k.text = k.text[:0]
	for _, c := range k.columns {
		if v := values[c]; v != nil {
			k.text = append(binary.AppendUvarint(k.text, uint64(len(*v))), *v...)
		} else {
			k.text = append(k.text, 0)
		}
	}
	return k.text
}

package delta

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// z85Of encodes a UUID as deletion vectors have it.
func z85Of(id uuid.UUID) string {
	var b strings.Builder
	for i := 0; i < len(id); i += 4 {
		n := binary.BigEndian.Uint32(id[i:])
		for div := uint32(85 * 85 * 85 * 85); div > 0; div /= 85 {
			b.WriteByte(z85[n/div%85])
		}
	}
	return b.String()
}

// past is a table whose history other engines and this one have written: each version with the files that it needs, by the names
// that the store has for them, and the day, before the clock, at which the next one came.
type past struct {
	*testing.T
	r      *rand.Rand
	store  lake.Store // with the times of the files
	base   lake.Store
	when   ages
	day    float64
	log    int64
	live   map[string]pastFile // by path in the log
	needed []pastVersion
}

type pastFile struct{ data, vector, descriptor string }

type pastVersion struct {
	files []string
	until float64
}

// file makes a name for a data file, in the form of the log and in that of the store.
func (p *past) file() (logged, stored string) {
	dir := []string{"", "k=a b/", "k=100%/", "k=US%2FEast/", "_k=1/", "k=größe/", "Ab/"}[p.r.IntN(7)]
	stored = fmt.Sprintf("%spart-%d.parquet", dir, p.r.Uint32())
	logged = (&url.URL{Path: stored}).EscapedPath()
	if !strings.Contains(stored, "%") && p.r.IntN(3) == 0 {
		logged = stored // not all writers encode
	}
	return logged, stored
}

// vector makes a file of deletion vectors.
func (p *past) vector(f pastFile) pastFile {
	var id uuid.UUID
	binary.BigEndian.PutUint64(id[:], p.r.Uint64())
	binary.BigEndian.PutUint64(id[8:], p.r.Uint64())
	prefix := []string{"", "ab"}[p.r.IntN(2)]
	f.vector = strings.TrimPrefix(prefix+"/deletion_vector_"+id.String()+".bin", "/")
	storage, text := "u", prefix+z85Of(id)
	if p.r.IntN(3) == 0 {
		storage, text = "p", "file:///data/t/"+f.vector
	}
	f.descriptor = fmt.Sprintf(`,"deletionVector":{"storageType":%q,"pathOrInlineDv":%q,"offset":1,"sizeInBytes":9,"cardinality":1}`, storage, text)
	return f
}

func (p *past) put(stored string) {
	putFiles(p.T, p.base, stored)
	p.when[stored] = p.day + p.r.Float64()/100 // some minutes before the commit
}

// commit makes the next version.
func (p *past) commit() {
	p.day -= p.r.Float64() * min(2, p.day)
	var lines []string
	for _, logged := range slices.Sorted(func(yield func(string) bool) {
		for l := range p.live {
			if !yield(l) {
				return
			}
		}
	}) {
		f := p.live[logged]
		switch p.r.IntN(6) {
		case 0:
			lines = append(lines, removeLine(logged, p.day, f.descriptor))
			delete(p.live, logged)
		case 1:
			lines = append(lines, removeLine(logged, p.day, f.descriptor))
			f = p.vector(f)
			p.put(f.vector)
			lines = append(lines, addLine(logged, f.descriptor))
			p.live[logged] = f
		}
	}
	for range p.r.IntN(4) {
		logged, stored := p.file()
		p.put(stored)
		p.live[logged] = pastFile{data: stored}
		lines = append(lines, addLine(logged, ""))
	}
	if n := len(p.needed); n > 0 {
		p.needed[n-1].until = p.day
	}
	p.log++
	writeRaw(p.T, p.base, p.log, strings.Join(append(lines, fmt.Sprintf(`{"txn":{"appId":"a","version":%d}}`, p.log)), "\n"))
	p.when[commitPath(p.log)] = p.day
	var v pastVersion
	for _, f := range p.live {
		v.files = append(v.files, f.data)
		if f.vector != "" {
			v.files = append(v.files, f.vector)
		}
	}
	p.needed = append(p.needed, v)
	if p.r.IntN(4) == 0 {
		at := clock().Add(-time.Duration(p.day * float64(day)))
		table, err := Open(p.Context(), p.store, Options{Now: func() time.Time { return at }})
		if err == nil {
			_, err = table.Checkpoint(p.Context())
		}
		if err != nil {
			p.Fatal(err)
		}
	}
}

// Whatever the table has been through: every version that was the latest at some time within the retention can be read afterwards,
// with its deletion vectors, and nothing older is left that no such version needs.
func TestVacuum_EveryVersionInsideOfTheRetentionKeepsItsFiles(t *testing.T) {
	deleted, kept := 0, 0
	for seed := range uint64(40) {
		p := &past{T: t, r: rand.New(rand.NewPCG(seed, 1)), base: lake.NewMemory(), when: ages{}, live: map[string]pastFile{}, day: 30}
		p.store = dated{p.base, p.when.at}
		own := float64(1 + p.r.IntN(9))
		writeRaw(t, p.base, 0, `{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]}}`,
			fmt.Sprintf(`{"metaData":{"id":"table-id","format":{"provider":"parquet","options":{}},"schemaString":%q,"partitionColumns":["_k"],"configuration":{"delta.deletedFileRetentionDuration":"interval %g days"}}}`, testSchema, own))
		p.when[commitPath(0)] = p.day
		for p.day > 0.5 {
			p.commit()
		}
		for range 5 {
			_, stored := p.file()
			p.day = p.r.Float64() * 30
			p.put(stored) // of a writer that ended before its commit
		}
		retain := own + float64(p.r.IntN(2)*p.r.IntN(9))
		need := map[string]bool{}
		for _, v := range p.needed {
			for _, f := range v.files {
				need[f] = need[f] || v.until < retain
			}
		}
		table := openTestTable(t, p.store)
		if _, err := table.Vacuum(t.Context(), VacuumOptions{Retain: new(time.Duration(retain * float64(day)))}); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		left := dataPaths(t, p.base)
		for f, needed := range need {
			if needed && !slices.Contains(left, f) {
				t.Fatalf("seed %d: retention of %g days: %s is gone, which a version of that time needs", seed, retain, f)
			}
		}
		for _, f := range left {
			if !need[f] && p.when[f] > retain {
				t.Fatalf("seed %d: retention of %g days: %s is %g days old, and no version of that time needs it", seed, retain, f, p.when[f])
			}
		}
		deleted += len(p.when) - int(p.log) - 1 - len(left)
		kept += len(left)
	}
	if deleted < 300 || kept < 300 {
		t.Errorf("%d files deleted, %d kept: too few to tell", deleted, kept)
	}
}

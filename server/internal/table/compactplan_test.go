package table

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/delta"
	"github.com/zerobus-go/zerobus/server/internal/lake"
	"pgregory.net/rapid"
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// tableOf is a snapshot of a table with these files.
func tableOf(t testing.TB, partitionBy []string, files ...delta.Add) *delta.Snapshot {
	t.Helper()
	d, err := delta.Create(t.Context(), lake.NewMemory(), delta.CreateSpec{
		SchemaString:     `{"type":"struct","fields":[{"name":"id","type":"long","nullable":true,"metadata":{}},{"name":"p","type":"string","nullable":true,"metadata":{}}]}`,
		PartitionColumns: partitionBy,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) > 0 {
		for i := range files {
			files[i].DataChange = true
		}
		if _, err := d.Append(t.Context(), delta.Append{AppID: "a", Adds: files}); err != nil {
			t.Fatal(err)
		}
	}
	return d.Snapshot()
}

// sized are files of these sizes, one behind the other.
func sized(sizes ...int64) []delta.Add {
	files := make([]delta.Add, len(sizes))
	for i, n := range sizes {
		files[i] = delta.Add{Path: fmt.Sprintf("f%03d", i), Size: n, ModificationTime: int64(1000 + i)}
	}
	return files
}

func times(n int, size int64) []int64 { return slices.Repeat([]int64{size}, n) }

// told writes groups as the numbers of their files: "0-15 20,21".
func told(groups [][]delta.Add) string {
	var out []string
	for _, g := range groups {
		var parts []string
		for i := 0; i < len(g); {
			first, _ := strconv.Atoi(g[i].Path[1:])
			j := i + 1
			for j < len(g) && g[j].Path == fmt.Sprintf("f%03d", first+j-i) {
				j++
			}
			part := strconv.Itoa(first)
			if j-i > 1 {
				part += fmt.Sprintf("-%d", first+j-i-1)
			}
			parts = append(parts, part)
			i = j
		}
		out = append(out, strings.Join(parts, ","))
	}
	return strings.Join(out, " ")
}

func byDefault() compactPlan {
	c := Compaction{}.withDefaults()
	p := c.background(time.UnixMilli(0), func(string) bool { return false })
	p.until = math.MaxInt64
	return p
}

func TestCompactPlan_Sizes(t *testing.T) {
	for name, c := range map[string]struct {
		sizes []int64
		want  string
	}{
		"too few":                     {times(15, mib), ""},
		"enough":                      {times(16, mib), "0-15"},
		"large ones":                  {times(40, 32*mib), ""},
		"up to the target":            {times(20, 30*mib), "0-3 4-7 8-11 12-15"},
		"the rest waits for more":     {times(18, 30*mib), "0-3 4-7 8-11 12-15"},
		"a large one between":         {slices.Concat(times(8, mib), []int64{64 * mib}, times(16, mib)), "0-7 9-24"},
		"few behind a large one wait": {slices.Concat(times(16, mib), []int64{64 * mib}, times(8, mib)), "0-15"},
		"few before a large one do not, together with others": {slices.Concat(times(8, mib), []int64{64 * mib}, times(8, mib)), "0-7"},
		"what was rewritten is not, with each few":            {slices.Concat(times(1, 160*kib), times(16, 10*kib)), "1-16"},
		"but when it is a fifth of all":                       {slices.Concat(times(4, 160*kib), times(16, 10*kib)), "0-19"},
		"in two steps":                                        {slices.Concat(times(2, 5*mib), times(3, 160*kib), times(16, 10*kib)), "5-20"},
		"a single one in between":                             {slices.Concat(times(1, mib), times(1, 64*mib), times(1, mib), times(1, 64*mib), times(16, mib)), "4-19"},
		"none":                                                {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := byDefault()
			if got := told(p.groups(tableOf(t, nil, sized(c.sizes...)...))); got != c.want {
				t.Errorf("groups %q, want %q", got, c.want)
			}
		})
	}
}

func TestCompactPlan_WhatIsNoCandidate(t *testing.T) {
	files := sized(times(20, mib)...)
	files[0].ClusteringProvider = new("liquid")
	files[17].Path = "f017" // left below
	p := byDefault()
	p.leave = func(path string) bool { return path == "f017" }
	if got := told(p.groups(tableOf(t, nil, files...))); got != "1-16" {
		t.Errorf("groups %q", got)
	}
	for _, f := range []delta.Add{
		{Path: "s3://bucket/f", Size: 1},
		{Path: "/f", Size: 1},
		{Path: "f", Size: 32 * mib},
		{Path: "f017", Size: 1},
		{Path: "f", Size: 1, DeletionVector: &delta.DeletionVector{}},
		{Path: "f", Size: 1, ClusteringProvider: new("x")},
	} {
		if p.candidate(&f) {
			t.Errorf("%+v is a candidate", f)
		}
	}
	// What is too young comes behind all others, and closes nothing.
	files = sized(times(20, mib)...)
	p = byDefault()
	p.until = insertedAt(&files[14])
	if got := told(p.groups(tableOf(t, nil, files...))); got != "" {
		t.Errorf("groups %q of 15 old files", got)
	}
	p.until = insertedAt(&files[15])
	if got := told(p.groups(tableOf(t, nil, files...))); got != "0-15" {
		t.Errorf("groups %q of 16 old files", got)
	}
}

// Partitions are counted one by one. An empty value is null.
func TestCompactPlan_Partitions(t *testing.T) {
	files := sized(times(70, mib)...)
	for i := range files {
		value := []*string{new("a"), new("b"), nil}[i%3]
		if value == nil && i%2 == 0 {
			value = new("")
		}
		files[i].PartitionValues = map[string]*string{"p": value}
	}
	files = files[:60] // 20 each
	p := byDefault()
	groups := p.groups(tableOf(t, []string{"p"}, files...))
	if len(groups) != 3 {
		t.Fatalf("%d groups: %s", len(groups), told(groups))
	}
	for i, g := range groups {
		for j, f := range g {
			if f.Path != files[3*j+i].Path {
				t.Errorf("file %d of group %d is %s", j, i, f.Path)
			}
		}
	}
	p.minFiles = 21
	if got := told(p.groups(tableOf(t, []string{"p"}, files...))); got != "" {
		t.Errorf("groups %q", got)
	}
}

// The order is that of the rows: a rewritten file stands at the end of the table, and carries the time of its rows.
func TestCompactPlan_OrderOfRows(t *testing.T) {
	files := sized(times(16, mib)...)
	last := files[15]
	last.ModificationTime, last.Tags = 9_999_999, map[string]*string{insertionTime: new("1005500")} // between f005 and f006
	files[15] = last
	p := byDefault()
	if got := told(p.groups(tableOf(t, nil, files...))); got != "0-5,15,6-14" {
		t.Errorf("groups %q", got)
	}
	for tag, want := range map[string]int64{"7": 7, "x": 5000, "": 5000} {
		if got := insertedAt(&delta.Add{ModificationTime: 5, Tags: map[string]*string{insertionTime: &tag}}); got != want {
			t.Errorf("tag %q: inserted at %d, want %d", tag, got, want)
		}
	}
	if got := insertedAt(&delta.Add{ModificationTime: 5, Tags: map[string]*string{insertionTime: nil}}); got != 5000 {
		t.Errorf("inserted at %d", got)
	}
}

// Whatever the files: each is in one group at most, in order, and no group skips a file of its partition.
func TestCompactPlan_Properties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.Int64Range(1, 100*kib), rapid.Int64Range(1, 10*mib), rapid.Int64Range(mib, 200*mib)), 0, 80).Draw(rt, "sizes")
		files := sized(sizes...)
		for i := range files {
			if v := rapid.IntRange(0, 2).Draw(rt, "partition"); v > 0 {
				files[i].PartitionValues = map[string]*string{"p": new(strconv.Itoa(v))}
			} else {
				files[i].PartitionValues = map[string]*string{"p": nil}
			}
			files[i].ModificationTime = rapid.Int64Range(0, 100).Draw(rt, "time")
		}
		p := byDefault()
		p.minFiles = rapid.IntRange(2, 20).Draw(rt, "least")
		if rapid.Bool().Draw(rt, "asked") {
			p.gain, p.small, p.minClosed = 0, p.target, p.minFiles
		}
		s := tableOf(t, []string{"p"}, files...)
		seen := map[string]bool{}
		for _, g := range p.groups(s) {
			total, largest := int64(0), int64(0)
			for i := range g {
				if seen[g[i].Path] {
					rt.Fatalf("file %s is in two groups", g[i].Path)
				}
				seen[g[i].Path] = true
				if !p.candidate(&g[i]) {
					rt.Fatalf("file %s is no candidate", g[i].Path)
				}
				total, largest = total+g[i].Size, max(largest, g[i].Size)
			}
			if len(g) < 2 || total > p.target {
				rt.Fatalf("a group of %d files and %d bytes", len(g), total)
			}
			var own []delta.Add
			for f := range s.Files() {
				if (f.PartitionValues["p"] == nil) == (g[0].PartitionValues["p"] == nil) && (f.PartitionValues["p"] == nil || *f.PartitionValues["p"] == *g[0].PartitionValues["p"]) {
					own = append(own, f)
				}
			}
			byInsertion(own)
			at := slices.IndexFunc(own, func(f delta.Add) bool { return f.Path == g[0].Path })
			for i := range g {
				if own[at+i].Path != g[i].Path {
					rt.Fatalf("%s comes behind %s, and %s is between", g[i].Path, g[i-1].Path, own[at+i].Path)
				}
			}
		}
	})
}

// Files that come one by one are rewritten a few times each, and few stand at any time.
func TestCompactPlan_CostOfManySmallFiles(t *testing.T) {
	const size, commits = 20 * kib, 20_000
	p := byDefault()
	var files []delta.Add
	written, most := int64(0), 0
	for i := range commits {
		files = append(files, delta.Add{Path: fmt.Sprintf("f%d", i), Size: size, ModificationTime: int64(i)})
		if i%60 != 59 { // a look a minute
			continue
		}
		small := slices.DeleteFunc(slices.Clone(files), func(f delta.Add) bool { return !p.candidate(&f) })
		most = max(most, len(small))
		for _, g := range p.divide(nil, small, false) {
			n, bytes := sizeOf(g)
			written += bytes
			at := slices.IndexFunc(files, func(f delta.Add) bool { return f.Path == g[0].Path })
			files = slices.Replace(files, at, at+n, delta.Add{Path: g[0].Path + "+", Size: bytes, ModificationTime: g[n-1].ModificationTime})
		}
	}
	if times := float64(written) / (size * commits); times > 5 || times < 1 {
		t.Errorf("each byte was rewritten %.1f times", times)
	}
	if most > 100 {
		t.Errorf("%d small files stood", most)
	}
	if len(files) > 50 {
		t.Errorf("%d files are left", len(files))
	}
	t.Logf("%d files left, at most %d small ones, each byte rewritten %.1f times", len(files), most, float64(written)/(size*commits))
}

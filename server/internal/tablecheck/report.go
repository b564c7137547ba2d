package tablecheck

import (
	"fmt"
	"time"
)

// The names of the checks, in the order in which they are reported.
const (
	Log         = "log"
	Checkpoints = "checkpoints"
	Checksums   = "checksums"
	Files       = "files"
	Schema      = "schema"
	Partitions  = "partitions"
	Values      = "values"
	Statistics  = "statistics"
)

// maxListed bounds each list of a report. What is beyond it is counted.
const maxListed = 1000

// Report is what a check of a table found.
type Report struct {
	Table   string `json:"table"`
	Version int64  `json:"version"` // that was the latest
	Files   int    `json:"files"`   // live ones
	Rows    int64  `json:"rows"`    // in them, read from the files
	Bytes   int64  `json:"bytes"`   // of them

	Checks []Result `json:"checks"`

	// Faults and Unchecked have up to 1,000 entries each; the results count all.
	Faults    []Fault     `json:"faults"`
	Unchecked []Unchecked `json:"not_checked"`

	Loose LooseFiles `json:"loose_files"`
	Sound bool       `json:"sound"` // no fault, and nothing that was not checked: a quick check calls no table so

	index map[string]int // of checks, by name
}

// Result is what one of the checks looked at.
type Result struct {
	Check     string `json:"check"`
	Looked    int64  `json:"looked_at"`
	Unit      string `json:"unit"` // of Looked: versions, files, rows, figures
	Faults    int    `json:"faults"`
	Unchecked int    `json:"not_checked"`
	Skipped   string `json:"skipped,omitempty"` // why it was not made
}

// Fault is something that is wrong.
type Fault struct {
	Check   string `json:"check"`
	Version *int64 `json:"version,omitempty"` // that made it so, as far as that is known
	File    string `json:"file,omitempty"`    // as the log has it
	Column  string `json:"column,omitempty"`
	Text    string `json:"fault"`
}

func (f Fault) String() string {
	s := f.Check + ": "
	if f.Version != nil {
		s += fmt.Sprintf("version %d: ", *f.Version)
	}
	if f.File != "" {
		s += "file " + f.File + ": "
	}
	if f.Column != "" {
		s += "column " + f.Column + ": "
	}
	return s + f.Text
}

// Unchecked is something of a file that was not looked at, because its form is not one that is read here.
type Unchecked struct {
	Check  string `json:"check"`
	File   string `json:"file"`
	Column string `json:"column,omitempty"`
	Reason string `json:"reason"`
}

// LooseFiles are the files below the table's directory that the latest version does not name.
type LooseFiles struct {
	Removed Amount `json:"removed"` // of earlier versions, which can be read until the retention ends
	New     Amount `json:"new"`     // younger than the retention: of commits on their way, or left over
	Expired Amount `json:"expired"` // what a vacuum would delete now

	List []LooseFile `json:"list"` // up to 1,000 of them, by path
}

// Amount is a number of files and their bytes.
type Amount struct {
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
}

func (a *Amount) add(size int64) {
	a.Files++
	a.Bytes += size
}

// LooseFile is one of them.
type LooseFile struct {
	Path     string    `json:"path"` // below the table, as the store has it
	Bytes    int64     `json:"bytes"`
	Modified time.Time `json:"modified"`
	State    string    `json:"state"` // removed, new or expired
}

func newReport(table string) *Report {
	r := &Report{Table: table, Faults: []Fault{}, Unchecked: []Unchecked{}, Loose: LooseFiles{List: []LooseFile{}}, index: map[string]int{}}
	for _, c := range []Result{
		{Check: Log, Unit: "versions"},
		{Check: Checkpoints, Unit: "checkpoints"},
		{Check: Checksums, Unit: "checksum files"},
		{Check: Files, Unit: "files"},
		{Check: Schema, Unit: "files"},
		{Check: Partitions, Unit: "files"},
		{Check: Values, Unit: "rows"},
		{Check: Statistics, Unit: "figures"},
	} {
		r.index[c.Check] = len(r.Checks)
		r.Checks = append(r.Checks, c)
	}
	return r
}

func (r *Report) result(check string) *Result { return &r.Checks[r.index[check]] }

func (r *Report) fault(f Fault) {
	r.result(f.Check).Faults++
	if len(r.Faults) < maxListed {
		r.Faults = append(r.Faults, f)
	}
}

func (r *Report) unchecked(u Unchecked) {
	r.result(u.Check).Unchecked++
	if len(r.Unchecked) < maxListed {
		r.Unchecked = append(r.Unchecked, u)
	}
}

// Total is the number of faults.
func (r *Report) Total() (faults, unchecked int) {
	for i := range r.Checks {
		faults += r.Checks[i].Faults
		unchecked += r.Checks[i].Unchecked
	}
	return faults, unchecked
}

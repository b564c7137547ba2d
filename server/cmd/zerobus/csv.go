package main

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/zerobus-go/zerobus/schema"
)

// rows reads CSV: the first line names columns of the table, every other record becomes a JSON object. An empty cell is NULL.
type rows struct {
	csv   *csv.Reader
	fuse  *fuse
	cells []cellColumn
	buf   []byte
	at    int64
}

// cellColumn is the column of the table that a column of the file goes to.
type cellColumn struct {
	name string
	key  []byte // the name as JSON, and a colon
	typ  schema.Type
}

// newRows reads the header. An empty input has no rows.
func newRows(src io.Reader, comma rune, columns []schema.Field) (*rows, error) {
	f := &fuse{r: src, left: fuseLength}
	buffered := bufio.NewReaderSize(f, readBuffer)
	if start, _ := buffered.Peek(len(byteOrderMark)); string(start) == string(byteOrderMark) {
		_, _ = buffered.Discard(len(byteOrderMark)) // they are there
	}
	r := &rows{csv: csv.NewReader(buffered), fuse: f, at: 1}
	r.csv.Comma = comma
	r.csv.ReuseRecord = true
	header, err := r.csv.Read()
	if err == io.EOF {
		return r, nil
	}
	if err != nil {
		return r, r.fault(err)
	}
	r.at, _ = r.position(0)
	for i, name := range header {
		name = strings.TrimSpace(name)
		at := slices.IndexFunc(columns, func(c schema.Field) bool { return c.Name == name })
		if at < 0 {
			return r, badRecord(fmt.Sprintf("the header names %s, and the table has no such column: it has %s", quoted(name), listed(columns)))
		}
		if slices.ContainsFunc(r.cells, func(c cellColumn) bool { return c.name == name }) {
			return r, badRecord(fmt.Sprintf("the header names %s twice, the second time as column %d", quoted(name), i+1))
		}
		r.cells = append(r.cells, cellColumn{name: name, key: append(appendString(nil, name), ':'), typ: columns[at].Type})
	}
	return r, nil
}

func (r *rows) line() int64 { return r.at }

func (r *rows) next() ([]byte, error) {
	record, err := r.read()
	if err != nil {
		return nil, err
	}
	r.buf = append(r.buf[:0], '{')
	for i := range r.cells {
		c := &r.cells[i]
		if record[i] == "" {
			continue
		}
		if len(r.buf) > 1 {
			r.buf = append(r.buf, ',')
		}
		r.buf = append(r.buf, c.key...)
		var wanted string
		if r.buf, wanted = appendCell(r.buf, &c.typ, record[i]); wanted != "" {
			r.at, _ = r.position(i)
			return nil, badRecord(fmt.Sprintf("column %s: %s is not %s (%s)", c.name, quoted(record[i]), wanted, c.typ.DDL()))
		}
	}
	r.buf = append(r.buf, '}')
	return r.buf, nil
}

func (r *rows) skip() error {
	_, err := r.read()
	if _, bad := err.(badRecord); bad && err != errLongRow {
		return nil
	}
	return err
}

func (r *rows) read() ([]string, error) {
	if r.fuse.blown {
		return nil, errLongRow // where the next record begins is not known
	}
	r.fuse.left = fuseLength
	record, err := r.csv.Read()
	if err != nil && err != io.EOF {
		return nil, r.fault(err)
	}
	if err == nil {
		r.at, _ = r.position(0)
	}
	return record, err
}

// position is the line and column of a cell of the last record.
func (r *rows) position(cell int) (line, column int64) {
	l, c := r.csv.FieldPos(cell)
	return int64(l), int64(c)
}

// fault turns an error of the CSV reader into one about the line that it is about.
func (r *rows) fault(err error) error {
	var p *csv.ParseError
	if !errors.As(err, &p) {
		return err
	}
	r.at = int64(p.StartLine)
	switch {
	case errors.Is(err, csv.ErrFieldCount):
		return badRecord(fmt.Sprintf("the number of cells differs from the %d of the header", len(r.cells)))
	case p.Line != p.StartLine:
		return badRecord(fmt.Sprintf("%v, at line %d column %d", p.Err, p.Line, p.Column))
	}
	return badRecord(fmt.Sprintf("%v, at column %d", p.Err, p.Column))
}

// fuse bounds what is read for one record: a quote that is never closed would take the rest of the file for one cell.
type fuse struct {
	r     io.Reader
	left  int
	blown bool
}

const fuseLength = maxRecord + readBuffer

// The CSV reader tells the lines of records that it has read.
const errLongRow = badRecord("the record behind this line is longer than the limit of 10 MiB: a closing quote may be missing")

func (f *fuse) Read(b []byte) (int, error) {
	if f.left <= 0 {
		f.blown = true
		return 0, errLongRow
	}
	n, err := f.r.Read(b)
	f.left -= n
	return n, err
}

// parseComma reads the separator that a flag names.
func parseComma(s string) (rune, error) {
	if s == `\t` || s == "tab" {
		return '\t', nil
	}
	c, size := utf8.DecodeRuneInString(s)
	if size != len(s) || size == 0 || c == utf8.RuneError || c == '"' || c == '\r' || c == '\n' {
		return 0, &usageError{fmt.Sprintf("--csv-comma %q: expected one character, or tab", s)}
	}
	return c, nil
}

// quoted shows a text of the input, short.
func quoted(s string) string {
	const most = 60
	if len(s) > most {
		return fmt.Sprintf("%q…", strings.ToValidUTF8(s[:most], ""))
	}
	return fmt.Sprintf("%q", s)
}

// listed names the columns, but not thousands of them.
func listed(columns []schema.Field) string {
	const most = 50
	var names []string
	for i, c := range columns {
		if i == most {
			names = append(names, fmt.Sprintf("and %d more", len(columns)-most))
			break
		}
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}

package delta

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Which columns have statistics.
const (
	// StatsColumns is the property that names them, by their paths: a, b.c, `d.e`. It comes before the number.
	StatsColumns = "delta.dataSkippingStatsColumns"

	statsNumber      = "delta.dataSkippingNumIndexedCols" // the first so many; -1 for all
	clusteringDomain = "delta.clustering"
)

// Indexed says which columns of a new file have statistics. Columns are named as in files, by their path from the table's column
// on; a struct stands for all that is in it.
type Indexed struct {
	First      *int       // so many from the first on; negative for all; nil: the table does not say
	Columns    [][]string // when not nil, these and not the first ones
	Clustering [][]string // these in any case
}

// Indexed is what the table's properties and its clustering ask for. A property that says nothing is passed over, as statistics are
// a help that readers can do without; clustering that cannot be read has all columns indexed, among which its own are.
func (s *Snapshot) Indexed() Indexed {
	var out Indexed
	if text, ok := s.property(statsNumber); ok {
		if n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32); err == nil && n >= -1 {
			out.First = new(int(n))
		}
	}
	if text, ok := s.property(StatsColumns); ok {
		out.Columns, _ = s.Metadata.statsColumns(text)
	}
	if d, ok := s.Domains[clusteringDomain]; ok {
		var c struct {
			Columns [][]string `json:"clusteringColumns"`
		}
		if json.Unmarshal([]byte(d.Configuration), &c) != nil {
			return Indexed{First: new(-1)}
		}
		out.Clustering = c.Columns
	}
	return out
}

// compressionCodec names the compression of the table's data files. The property is Databricks' and Spark's:
// https://docs.databricks.com/aws/en/delta/table-properties.
const compressionCodec = "delta.parquet.compression.codec"

// Compression is the compression of data files that the table's property asks for, in small letters; empty without one.
func (s *Snapshot) Compression() string {
	text, _ := s.property(compressionCodec)
	return strings.ToLower(strings.TrimSpace(text))
}

// CheckStatsColumns reports what is wrong with the columns that a property of the metadata names: a text that is no list of paths, or
// a column that the table does not have.
func (m *Metadata) CheckStatsColumns() error {
	text, ok := m.Configuration[StatsColumns]
	if !ok {
		return nil
	}
	_, err := m.statsColumns(text)
	return err
}

// statsColumns are the paths of a list of columns, as files have them, without those that are not there; nil when the text is no
// such list. The error is about either.
func (m *Metadata) statsColumns(text string) (paths [][]string, err error) {
	names, err := parsePaths(text)
	if err != nil {
		return nil, err
	}
	schema, err := parseSchema(m.SchemaString)
	if err != nil {
		return nil, err
	}
	mode := m.Mapping()
	paths = [][]string{}
	for _, name := range names {
		if path := schema.find(name, mode); path != nil {
			paths = append(paths, path)
		} else if err == nil {
			err = fmt.Errorf("there is no column %s", strings.Join(name, "."))
		}
	}
	return paths, err
}

// find is the path in files of the column that has the path, whatever the case; nil when there is none.
func (t *dataType) find(path []string, mode string) (stored []string) {
	for _, name := range path {
		var f *field
		for i := range t.fields {
			if g := &t.fields[i]; strings.EqualFold(g.Name, name) && (f == nil || g.Name == name) {
				f = g
			}
		}
		if f == nil {
			return nil
		}
		stored, t = append(stored, f.stored(mode)), f.typ
	}
	return stored
}

// parsePaths reads a list of paths: names with dots between them and commas after each, in back-quotes where a name has either of
// them, with a back-quote in it doubled. An empty text is an empty list.
func parsePaths(text string) (paths [][]string, err error) {
	rest := strings.TrimSpace(text)
	for rest != "" {
		var path []string
		for {
			var name string
			rest = strings.TrimLeft(rest, " \t\r\n")
			if strings.HasPrefix(rest, "`") {
				if name, rest, err = quotedName(rest); err != nil {
					return nil, err
				}
			} else {
				end := strings.IndexAny(rest, ".,`")
				if end < 0 {
					end = len(rest)
				}
				name, rest = strings.TrimRight(rest[:end], " \t\r\n"), rest[end:]
			}
			if name == "" {
				return nil, fmt.Errorf("%.100q is no list of columns: a name is empty", text)
			}
			path = append(path, name)
			rest = strings.TrimLeft(rest, " \t\r\n")
			if !strings.HasPrefix(rest, ".") {
				break
			}
			rest = rest[1:]
		}
		paths = append(paths, path)
		if rest == "" {
			break
		}
		if rest[0] != ',' {
			return nil, fmt.Errorf("%.100q is no list of columns: expected a comma before %.20q", text, rest)
		}
		if rest = strings.TrimSpace(rest[1:]); rest == "" {
			return nil, fmt.Errorf("%.100q is no list of columns: a name is empty", text)
		}
	}
	return paths, nil
}

// quotedName takes a name in back-quotes off a text.
func quotedName(text string) (name, rest string, err error) {
	var b strings.Builder
	for rest = text[1:]; ; {
		part, after, closed := strings.Cut(rest, "`")
		if !closed {
			return "", "", fmt.Errorf("%.40q has no closing back-quote", text)
		}
		b.WriteString(part)
		if !strings.HasPrefix(after, "`") {
			return b.String(), after, nil
		}
		b.WriteByte('`')
		rest = after[1:]
	}
}

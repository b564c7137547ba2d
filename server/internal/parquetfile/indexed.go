package parquetfile

import "github.com/zerobus-go/zerobus/schema"

// indexed tells which of the columns that statistics count have some, by their numbers. Those are counted in depth: a struct counts
// as its fields, an array, map or variant as one column.
func (t *tree) indexed(o Options) []bool {
	out := make([]bool, t.wholes)
	if o.StatsColumns == nil {
		for i := range out {
			out[i] = o.IndexedColumns < 0 || i < o.IndexedColumns
		}
	}
	for _, path := range o.StatsColumns {
		mark(out, t.columns, path)
	}
	for _, path := range o.ClusteringColumns {
		mark(out, t.columns, path)
	}
	return out
}

// mark marks the columns at the end of a path, or in the struct at its end; an empty path marks all.
func mark(out []bool, nodes []*node, path []string) {
	for _, n := range nodes {
		if len(path) > 0 && path[0] != n.name {
			continue
		}
		rest := path[min(1, len(path)):]
		switch {
		case n.typ.Kind == schema.StructKind:
			mark(out, n.kids, rest)
		case len(rest) == 0:
			out[n.whole] = true
		}
	}
}

package delta

import (
	"fmt"
	"math"
)

// readParquet reads a checkpoint's Parquet file, or a part of one, or a sidecar: one action a row.
func (s *checkpointState) readParquet(data []byte, version int64) (err error) {
	defer asError(&err)
	c, err := openColumns(data)
	if err != nil {
		return err
	}
	for c.group = range c.file.RowGroups() {
		for _, read := range []func(*columns) error{s.readProtocol, s.readMetadata, s.readTxns, s.readDomains, s.readAdds, s.readRemoves, s.readSidecars} {
			if err := read(c); err != nil {
				return err
			}
		}
		if err := c.ints("checkpointMetadata.version", func(_ int, n int64) error { return checkVersion(n, version) }); err != nil {
			return err
		}
	}
	return nil
}

// actionsOf is the actions of one kind in a row group. The column that every action of the kind has is read first, by begin,
// and tells in which rows there is one; each further column sets a field of them. After an error nothing more is read.
type actionsOf[T any] struct {
	c    *columns
	kind string
	rows []*T // by row; nil until there is one
	err  error
}

// begin reads the first column.
func (r *actionsOf[T]) begin(column string, set func(*T, string)) {
	r.err = r.c.texts(r.kind+"."+column, func(row int, v string) error {
		a, err := r.add(row)
		if err == nil {
			set(a, v)
		}
		return err
	})
}

func (r *actionsOf[T]) add(row int) (*T, error) {
	if r.rows == nil {
		n, err := r.c.rowCount()
		if err != nil {
			return nil, err
		}
		r.rows = make([]*T, n)
	}
	r.rows[row] = new(T)
	return r.rows[row], nil
}

// at returns the row's action.
func (r *actionsOf[T]) at(row int) (*T, error) {
	if r.rows == nil || r.rows[row] == nil {
		return nil, fmt.Errorf("row %d has a part of %s, but not what each must have", row, r.kind)
	}
	return r.rows[row], nil
}

func (r *actionsOf[T]) text(column string, set func(*T, string)) {
	if r.err != nil {
		return
	}
	r.err = r.c.texts(r.kind+"."+column, func(row int, v string) error {
		a, err := r.at(row)
		if err == nil {
			set(a, v)
		}
		return err
	})
}

func (r *actionsOf[T]) int64(column string, set func(*T, int64)) {
	if r.err != nil {
		return
	}
	r.err = r.c.ints(r.kind+"."+column, func(row int, v int64) error {
		a, err := r.at(row)
		if err == nil {
			set(a, v)
		}
		return err
	})
}

func (r *actionsOf[T]) int32(column string, set func(*T, int32)) {
	if r.err != nil {
		return
	}
	r.err = r.c.ints(r.kind+"."+column, func(row int, v int64) error {
		a, err := r.at(row)
		switch {
		case err != nil:
			return err
		case v < math.MinInt32 || v > math.MaxInt32:
			return fmt.Errorf("%s.%s is %d", r.kind, column, v)
		}
		set(a, int32(v))
		return nil
	})
}

func (r *actionsOf[T]) bool(column string, set func(*T, bool)) {
	if r.err != nil {
		return
	}
	r.err = r.c.bools(r.kind+"."+column, func(row int, v bool) error {
		a, err := r.at(row)
		if err == nil {
			set(a, v)
		}
		return err
	})
}

// list reads a list of text. It is not nil when there is one in the row.
func (r *actionsOf[T]) list(column string, field func(*T) *[]string) {
	if r.err != nil {
		return
	}
	begin := func(row int) error {
		a, err := r.at(row)
		if err == nil {
			*field(a) = []string{}
		}
		return err
	}
	r.err = r.c.lists(r.kind+"."+column, begin, func(row int, v string) error {
		a, err := r.at(row)
		if err == nil {
			*field(a) = append(*field(a), v)
		}
		return err
	})
}

// values reads a map of which values may be null. Empty maps share one.
func (r *actionsOf[T]) values(column string, field func(*T) *map[string]*string) {
	if r.err != nil {
		return
	}
	begin := func(row int) error {
		a, err := r.at(row)
		if err == nil {
			*field(a) = noValues
		}
		return err
	}
	r.err = r.c.maps(r.kind+"."+column, begin, func(row int, key string, v *string) error {
		a, err := r.at(row)
		if err != nil {
			return err
		}
		if len(*field(a)) == 0 {
			*field(a) = map[string]*string{}
		}
		(*field(a))[key] = v
		return nil
	})
}

// settings reads a map without nulls.
func (r *actionsOf[T]) settings(column string, field func(*T) *map[string]string) {
	if r.err != nil {
		return
	}
	begin := func(row int) error {
		a, err := r.at(row)
		if err == nil {
			*field(a) = map[string]string{}
		}
		return err
	}
	r.err = r.c.maps(r.kind+"."+column, begin, func(row int, key string, v *string) error {
		a, err := r.at(row)
		if err == nil && v != nil {
			(*field(a))[key] = *v
		}
		return err
	})
}

// vectors reads the deletion vectors of files.
func (r *actionsOf[T]) vectors(set func(*T, *DeletionVector)) {
	if r.err != nil {
		return
	}
	d := actionsOf[DeletionVector]{c: r.c, kind: r.kind + ".deletionVector"}
	d.begin("storageType", func(v *DeletionVector, x string) { v.StorageType = x })
	d.text("pathOrInlineDv", func(v *DeletionVector, x string) { v.PathOrInlineDV = x })
	d.int32("offset", func(v *DeletionVector, x int32) { v.Offset = &x })
	d.int32("sizeInBytes", func(v *DeletionVector, x int32) { v.SizeInBytes = x })
	d.int64("cardinality", func(v *DeletionVector, x int64) { v.Cardinality = x })
	r.err = d.err
	for row, v := range d.rows {
		if v == nil || r.err != nil {
			continue
		}
		var a *T
		if a, r.err = r.at(row); r.err == nil {
			set(a, v)
		}
	}
}

// require fails when there are actions and the file has no such column for them: what is never null must not be lost by it.
func (r *actionsOf[T]) require(columns ...string) {
	for _, name := range columns {
		if r.err == nil && r.rows != nil && r.c.find(r.kind+"."+name) == nil {
			r.err = fmt.Errorf("there is no column %s.%s", r.kind, name)
		}
	}
}

// each gives the actions when all of them could be read.
func (r *actionsOf[T]) each(take func(*T) error) error {
	for _, a := range r.rows {
		if r.err != nil {
			break
		}
		if a != nil {
			r.err = take(a)
		}
	}
	return r.err
}

func (s *checkpointState) readProtocol(c *columns) error {
	r := actionsOf[Protocol]{c: c, kind: "protocol"}
	r.err = c.ints("protocol.minReaderVersion", func(row int, v int64) error {
		p, err := r.add(row)
		if err == nil {
			p.MinReaderVersion = int32(min(v, math.MaxInt32))
		}
		return err
	})
	r.require("minWriterVersion")
	r.int32("minWriterVersion", func(p *Protocol, v int32) { p.MinWriterVersion = v })
	r.list("readerFeatures", func(p *Protocol) *[]string { return &p.ReaderFeatures })
	r.list("writerFeatures", func(p *Protocol) *[]string { return &p.WriterFeatures })
	return r.each(func(p *Protocol) error { return s.take(&readAction{Protocol: p}) })
}

func (s *checkpointState) readMetadata(c *columns) error {
	r := actionsOf[Metadata]{c: c, kind: "metaData"}
	r.begin("schemaString", func(m *Metadata, v string) { m.SchemaString = v })
	r.require("id", "partitionColumns", "configuration", "format.provider")
	r.text("id", func(m *Metadata, v string) { m.ID = v })
	r.text("name", func(m *Metadata, v string) { m.Name = v })
	r.text("description", func(m *Metadata, v string) { m.Description = v })
	r.text("format.provider", func(m *Metadata, v string) { m.Format.Provider = v })
	r.settings("format.options", func(m *Metadata) *map[string]string { return &m.Format.Options })
	r.list("partitionColumns", func(m *Metadata) *[]string { return &m.PartitionColumns })
	r.settings("configuration", func(m *Metadata) *map[string]string { return &m.Configuration })
	r.int64("createdTime", func(m *Metadata, v int64) { m.CreatedTime = v })
	return r.each(func(m *Metadata) error { return s.take(&readAction{Metadata: m}) })
}

func (s *checkpointState) readTxns(c *columns) error {
	r := actionsOf[Txn]{c: c, kind: "txn"}
	r.begin("appId", func(t *Txn, v string) { t.AppID = v })
	r.require("version")
	r.int64("version", func(t *Txn, v int64) { t.Version = v })
	r.int64("lastUpdated", func(t *Txn, v int64) { t.LastUpdated = v })
	return r.each(func(t *Txn) error { return s.take(&readAction{Txn: t}) })
}

func (s *checkpointState) readDomains(c *columns) error {
	r := actionsOf[DomainMetadata]{c: c, kind: "domainMetadata"}
	r.begin("domain", func(d *DomainMetadata, v string) { d.Domain = v })
	r.text("configuration", func(d *DomainMetadata, v string) { d.Configuration = v })
	r.bool("removed", func(d *DomainMetadata, v bool) { d.Removed = v })
	return r.each(func(d *DomainMetadata) error { return s.take(&readAction{Domain: d}) })
}

func (s *checkpointState) readAdds(c *columns) error {
	r := actionsOf[Add]{c: c, kind: "add"}
	r.begin("path", func(a *Add, v string) { a.Path = v })
	r.require("partitionValues", "size")
	r.values("partitionValues", func(a *Add) *map[string]*string { return &a.PartitionValues })
	r.int64("size", func(a *Add, v int64) { a.Size = v })
	r.int64("modificationTime", func(a *Add, v int64) { a.ModificationTime = v })
	r.bool("dataChange", func(a *Add, v bool) { a.DataChange = v })
	r.text("stats", func(a *Add, v string) { a.Stats = v })
	r.values("tags", func(a *Add) *map[string]*string { return &a.Tags })
	r.vectors(func(a *Add, v *DeletionVector) { a.DeletionVector = v })
	r.int64("baseRowId", func(a *Add, v int64) { a.BaseRowID = &v })
	r.int64("defaultRowCommitVersion", func(a *Add, v int64) { a.DefaultRowCommitVersion = &v })
	r.text("clusteringProvider", func(a *Add, v string) { a.ClusteringProvider = &v })
	// Tables may ask for statistics in columns instead of JSON (delta.checkpoint.writeStatsAsJson).
	r.int64("stats_parsed.numRecords", func(a *Add, _ int64) { s.lossy = s.lossy || a.Stats == "" })
	return r.each(func(a *Add) error { return s.takeFile(&readAction{Add: a}) })
}

func (s *checkpointState) readRemoves(c *columns) error {
	r := actionsOf[Remove]{c: c, kind: "remove"}
	r.begin("path", func(f *Remove, v string) { f.Path = v })
	r.int64("deletionTimestamp", func(f *Remove, v int64) { f.DeletionTimestamp = v })
	r.bool("dataChange", func(f *Remove, v bool) { f.DataChange = v })
	r.bool("extendedFileMetadata", func(f *Remove, v bool) { f.ExtendedFileMetadata = v })
	r.values("partitionValues", func(f *Remove) *map[string]*string { return &f.PartitionValues })
	r.int64("size", func(f *Remove, v int64) { f.Size = &v })
	r.vectors(func(f *Remove, v *DeletionVector) { f.DeletionVector = v })
	r.int64("baseRowId", func(f *Remove, v int64) { f.BaseRowID = &v })
	r.int64("defaultRowCommitVersion", func(f *Remove, v int64) { f.DefaultRowCommitVersion = &v })
	return r.each(func(f *Remove) error { return s.takeFile(&readAction{Remove: f}) })
}

func (s *checkpointState) readSidecars(c *columns) error {
	r := actionsOf[sidecar]{c: c, kind: "sidecar"}
	r.begin("path", func(f *sidecar, v string) { f.Path = v })
	r.int64("sizeInBytes", func(f *sidecar, v int64) { f.SizeInBytes = v })
	return r.each(func(f *sidecar) error { s.sidecars = append(s.sidecars, *f); return nil })
}

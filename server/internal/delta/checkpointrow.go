package delta

import "iter"

// The columns of a checkpoint, with names and order as Spark 4.0 writes them. Everything but the keys of maps is optional; a nil
// pointer, list or map is null, an empty list is not. There are no columns for commitInfo and cdc, which no checkpoint has, nor
// for stats and tags of remove. Rows point into the snapshot.

// checkpointRow is one action.
type checkpointRow struct {
	Txn      *txnColumns      `parquet:"txn,optional"`
	Add      *addColumns      `parquet:"add,optional"`
	Remove   *removeColumns   `parquet:"remove,optional"`
	Metadata *metadataColumns `parquet:"metaData,optional"`
	Protocol *protocolColumns `parquet:"protocol,optional"`
	Domain   *domainColumns   `parquet:"domainMetadata,optional"`
}

// checkpointRowV2 is one action of a table with the feature v2Checkpoint.
type checkpointRowV2 struct {
	Txn        *txnColumns        `parquet:"txn,optional"`
	Add        *addColumns        `parquet:"add,optional"`
	Remove     *removeColumns     `parquet:"remove,optional"`
	Metadata   *metadataColumns   `parquet:"metaData,optional"`
	Protocol   *protocolColumns   `parquet:"protocol,optional"`
	Domain     *domainColumns     `parquet:"domainMetadata,optional"`
	Checkpoint *checkpointColumns `parquet:"checkpointMetadata,optional"`
	Sidecar    *sidecarColumns    `parquet:"sidecar,optional"` // in no row: all actions are in the one file
}

type txnColumns struct {
	AppID       *string `parquet:"appId,optional"`
	Version     *int64  `parquet:"version,optional"`
	LastUpdated *int64  `parquet:"lastUpdated,optional"`
}

type addColumns struct {
	Path                    *string               `parquet:"path,optional"`
	PartitionValues         map[string]*string    `parquet:"partitionValues,optional"`
	Size                    *int64                `parquet:"size,optional"`
	ModificationTime        *int64                `parquet:"modificationTime,optional"`
	DataChange              *bool                 `parquet:"dataChange,optional"`
	Tags                    map[string]*string    `parquet:"tags,optional"`
	DeletionVector          *deletionVectorColumn `parquet:"deletionVector,optional"`
	BaseRowID               *int64                `parquet:"baseRowId,optional"`
	DefaultRowCommitVersion *int64                `parquet:"defaultRowCommitVersion,optional"`
	ClusteringProvider      *string               `parquet:"clusteringProvider,optional"`
	Stats                   *string               `parquet:"stats,optional"`
}

type removeColumns struct {
	Path                    *string               `parquet:"path,optional"`
	DeletionTimestamp       *int64                `parquet:"deletionTimestamp,optional"`
	DataChange              *bool                 `parquet:"dataChange,optional"`
	ExtendedFileMetadata    *bool                 `parquet:"extendedFileMetadata,optional"`
	PartitionValues         map[string]*string    `parquet:"partitionValues,optional"`
	Size                    *int64                `parquet:"size,optional"`
	DeletionVector          *deletionVectorColumn `parquet:"deletionVector,optional"`
	BaseRowID               *int64                `parquet:"baseRowId,optional"`
	DefaultRowCommitVersion *int64                `parquet:"defaultRowCommitVersion,optional"`
}

type deletionVectorColumn struct {
	StorageType    *string `parquet:"storageType,optional"`
	PathOrInlineDV *string `parquet:"pathOrInlineDv,optional"`
	Offset         *int32  `parquet:"offset,optional"`
	SizeInBytes    *int32  `parquet:"sizeInBytes,optional"`
	Cardinality    *int64  `parquet:"cardinality,optional"`
}

type metadataColumns struct {
	ID               *string            `parquet:"id,optional"`
	Name             *string            `parquet:"name,optional"`
	Description      *string            `parquet:"description,optional"`
	Format           *formatColumns     `parquet:"format,optional"`
	SchemaString     *string            `parquet:"schemaString,optional"`
	PartitionColumns []*string          `parquet:"partitionColumns,optional,list"`
	Configuration    map[string]*string `parquet:"configuration,optional"`
	CreatedTime      *int64             `parquet:"createdTime,optional"`
}

type formatColumns struct {
	Provider *string            `parquet:"provider,optional"`
	Options  map[string]*string `parquet:"options,optional"`
}

type protocolColumns struct {
	MinReaderVersion *int32    `parquet:"minReaderVersion,optional"`
	MinWriterVersion *int32    `parquet:"minWriterVersion,optional"`
	ReaderFeatures   []*string `parquet:"readerFeatures,optional,list"`
	WriterFeatures   []*string `parquet:"writerFeatures,optional,list"`
}

type domainColumns struct {
	Domain        *string `parquet:"domain,optional"`
	Configuration *string `parquet:"configuration,optional"`
	Removed       *bool   `parquet:"removed,optional"`
}

type checkpointColumns struct {
	Version *int64             `parquet:"version,optional"`
	Tags    map[string]*string `parquet:"tags,optional"`
}

type sidecarColumns struct {
	Path             *string            `parquet:"path,optional"`
	SizeInBytes      *int64             `parquet:"sizeInBytes,optional"`
	ModificationTime *int64             `parquet:"modificationTime,optional"`
	Tags             map[string]*string `parquet:"tags,optional"`
}

// rowsOf yields the actions of a checkpoint: all that is in the snapshot, and removes.
func rowsOf(s *Snapshot, removes []Remove) iter.Seq[checkpointRow] {
	return func(yield func(checkpointRow) bool) {
		if !yield(checkpointRow{Protocol: protocolRow(&s.Protocol)}) || !yield(checkpointRow{Metadata: metadataRow(&s.Metadata)}) {
			return
		}
		for _, id := range sortedKeys(s.Txns) {
			t := s.Txns[id]
			if !yield(checkpointRow{Txn: &txnColumns{&t.AppID, &t.Version, orNil(&t.LastUpdated)}}) {
				return
			}
		}
		for _, name := range sortedKeys(s.Domains) {
			d := s.Domains[name]
			if !yield(checkpointRow{Domain: &domainColumns{&d.Domain, &d.Configuration, &d.Removed}}) {
				return
			}
		}
		for i := range removes {
			if !yield(checkpointRow{Remove: removeRow(&removes[i])}) {
				return
			}
		}
		for i := range s.files.adds {
			if !s.files.isDead(i) && !yield(checkpointRow{Add: addRow(&s.files.adds[i])}) {
				return
			}
		}
	}
}

// rowsOfV2 yields the same, after what says that it is of the version.
func rowsOfV2(s *Snapshot, removes []Remove) iter.Seq[checkpointRowV2] {
	return func(yield func(checkpointRowV2) bool) {
		if !yield(checkpointRowV2{Checkpoint: &checkpointColumns{Version: &s.Version}}) {
			return
		}
		for r := range rowsOf(s, removes) {
			if !yield(checkpointRowV2{Txn: r.Txn, Add: r.Add, Remove: r.Remove, Metadata: r.Metadata, Protocol: r.Protocol, Domain: r.Domain}) {
				return
			}
		}
	}
}

// noChange is dataChange of all files: it says nothing in a checkpoint.
var noChange = new(false)

func addRow(a *Add) *addColumns {
	return &addColumns{
		Path: &a.Path, PartitionValues: a.PartitionValues, Size: &a.Size, ModificationTime: &a.ModificationTime,
		DataChange: noChange, Tags: a.Tags, DeletionVector: vectorRow(a.DeletionVector), BaseRowID: a.BaseRowID,
		DefaultRowCommitVersion: a.DefaultRowCommitVersion, ClusteringProvider: a.ClusteringProvider, Stats: orNil(&a.Stats),
	}
}

func removeRow(r *Remove) *removeColumns {
	return &removeColumns{
		Path: &r.Path, DeletionTimestamp: &r.DeletionTimestamp, DataChange: noChange, ExtendedFileMetadata: &r.ExtendedFileMetadata,
		PartitionValues: r.PartitionValues, Size: r.Size, DeletionVector: vectorRow(r.DeletionVector), BaseRowID: r.BaseRowID,
		DefaultRowCommitVersion: r.DefaultRowCommitVersion,
	}
}

func vectorRow(v *DeletionVector) *deletionVectorColumn {
	if v == nil {
		return nil
	}
	return &deletionVectorColumn{&v.StorageType, &v.PathOrInlineDV, v.Offset, &v.SizeInBytes, &v.Cardinality}
}

func metadataRow(m *Metadata) *metadataColumns {
	return &metadataColumns{
		ID: &m.ID, Name: orNil(&m.Name), Description: orNil(&m.Description),
		Format:       &formatColumns{&m.Format.Provider, pointers(m.Format.Options)},
		SchemaString: &m.SchemaString, PartitionColumns: elements(m.PartitionColumns), Configuration: pointers(m.Configuration),
		CreatedTime: orNil(&m.CreatedTime),
	}
}

// protocolRow leaves the features null where the versions have none, as they must be then and only then.
func protocolRow(p *Protocol) *protocolColumns {
	row := &protocolColumns{MinReaderVersion: &p.MinReaderVersion, MinWriterVersion: &p.MinWriterVersion}
	if p.MinReaderVersion == maxReaderVersion {
		row.ReaderFeatures = elements(p.ReaderFeatures)
	}
	if p.MinWriterVersion == maxWriterVersion {
		row.WriterFeatures = elements(p.WriterFeatures)
	}
	return row
}

// orNil makes null of what an action has not.
func orNil[V comparable](v *V) *V {
	if *v == *new(V) {
		return nil
	}
	return v
}

func elements(list []string) []*string {
	out := make([]*string, 0, len(list))
	for i := range list {
		out = append(out, &list[i])
	}
	return out
}

func pointers(m map[string]string) map[string]*string {
	out := make(map[string]*string, len(m))
	for k, v := range m {
		out[k] = &v
	}
	return out
}

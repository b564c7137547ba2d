package delta

// The actions of a commit, with the names that PROTOCOL.md gives them ("Actions"). Fields without omitempty are required
// there. Absent and null are the same. What a field does not know is ignored when read and not written.

// Protocol tells which versions and features a reader and a writer of the table must support.
type Protocol struct {
	MinReaderVersion int32 `json:"minReaderVersion"`
	MinWriterVersion int32 `json:"minWriterVersion"`
	// An empty list is not the same as none: with reader 3 or writer 7 the list must be there.
	ReaderFeatures []string `json:"readerFeatures,omitzero"`
	WriterFeatures []string `json:"writerFeatures,omitzero"`
}

// Format is the encoding of the data files.
type Format struct {
	Provider string            `json:"provider"`
	Options  map[string]string `json:"options"`
}

// Metadata describes the table.
type Metadata struct {
	ID               string            `json:"id"`
	Name             string            `json:"name,omitempty"`
	Description      string            `json:"description,omitempty"`
	Format           Format            `json:"format"`
	SchemaString     string            `json:"schemaString"`
	PartitionColumns []string          `json:"partitionColumns"`
	Configuration    map[string]string `json:"configuration"`
	CreatedTime      int64             `json:"createdTime,omitzero"` // milliseconds since the epoch
}

// Add puts a data file into the table.
type Add struct {
	Path             string             `json:"path"` // relative to the table, URI-encoded
	PartitionValues  map[string]*string `json:"partitionValues"`
	Size             int64              `json:"size"`             // bytes, exact
	ModificationTime int64              `json:"modificationTime"` // milliseconds since the epoch
	DataChange       bool               `json:"dataChange"`
	Stats            string             `json:"stats,omitempty"` // a JSON object as text
	Tags             map[string]*string `json:"tags,omitempty"`
	DeletionVector   *DeletionVector    `json:"deletionVector,omitempty"`

	BaseRowID               *int64  `json:"baseRowId,omitempty"`
	DefaultRowCommitVersion *int64  `json:"defaultRowCommitVersion,omitempty"`
	ClusteringProvider      *string `json:"clusteringProvider,omitempty"`
}

// Remove takes a data file out of the table.
type Remove struct {
	Path                 string             `json:"path"`
	DeletionTimestamp    int64              `json:"deletionTimestamp,omitzero"` // milliseconds since the epoch
	DataChange           bool               `json:"dataChange"`
	ExtendedFileMetadata bool               `json:"extendedFileMetadata,omitzero"`
	PartitionValues      map[string]*string `json:"partitionValues,omitzero"` // empty is there with extendedFileMetadata
	Size                 *int64             `json:"size,omitempty"`
	Stats                string             `json:"stats,omitempty"`
	Tags                 map[string]*string `json:"tags,omitempty"`
	DeletionVector       *DeletionVector    `json:"deletionVector,omitempty"`

	BaseRowID               *int64 `json:"baseRowId,omitempty"`
	DefaultRowCommitVersion *int64 `json:"defaultRowCommitVersion,omitempty"`
}

// DeletionVector names the rows of a file that are deleted.
type DeletionVector struct {
	StorageType    string `json:"storageType"`
	PathOrInlineDV string `json:"pathOrInlineDv"`
	Offset         *int32 `json:"offset,omitempty"`
	SizeInBytes    int32  `json:"sizeInBytes"`
	Cardinality    int64  `json:"cardinality"`
}

// Txn is an application's mark in the table: what it wrote up to Version is in.
type Txn struct {
	AppID       string `json:"appId"`
	Version     int64  `json:"version"`
	LastUpdated int64  `json:"lastUpdated,omitzero"` // milliseconds since the epoch
}

// DomainMetadata is a feature's own piece of metadata.
type DomainMetadata struct {
	Domain        string `json:"domain"`
	Configuration string `json:"configuration"`
	Removed       bool   `json:"removed"`
}

// CommitInfo says who made the commit and how. The protocol leaves it free; these are the fields that Spark writes.
type CommitInfo struct {
	Timestamp           int64             `json:"timestamp"` // milliseconds since the epoch
	Operation           string            `json:"operation"`
	OperationParameters map[string]string `json:"operationParameters,omitempty"`
	ReadVersion         *int64            `json:"readVersion,omitempty"`
	IsolationLevel      string            `json:"isolationLevel,omitempty"`
	IsBlindAppend       *bool             `json:"isBlindAppend,omitempty"`
	OperationMetrics    map[string]string `json:"operationMetrics,omitempty"`
	UserMetadata        string            `json:"userMetadata,omitempty"`
	EngineInfo          string            `json:"engineInfo,omitempty"`
	TxnID               string            `json:"txnId,omitempty"`
	InCommitTimestamp   *int64            `json:"inCommitTimestamp,omitempty"` // milliseconds since the epoch
	Tags                map[string]string `json:"tags,omitempty"`
}

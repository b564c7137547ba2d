package delta

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// logDir is where the log stands below the table.
const logDir = "_delta_log/"

// commitPath names the file of a version.
func commitPath(version int64) string { return fmt.Sprintf("%s%020d.json", logDir, version) }

// commitVersion returns the version that a path of the log stands for, if it is a commit.
func commitVersion(path string) (int64, bool) {
	name, inLog := strings.CutPrefix(path, logDir)
	digits, isJSON := strings.CutSuffix(name, ".json")
	if !inLog || !isJSON {
		return 0, false
	}
	return parseVersion(digits)
}

func parseVersion(digits string) (int64, bool) {
	if len(digits) != 20 || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	v, err := strconv.ParseInt(digits, 10, 64)
	return v, err == nil
}

// commit is the content of one file of the log.
type commit struct {
	info     json.RawMessage // as it stands there: its form is free, see parseInfo
	stamp    *int64          // inCommitTimestamp of info; nil when there is none
	protocol *Protocol
	metadata *Metadata
	txns     []Txn
	domains  []DomainMetadata
	adds     []Add
	removes  []Remove

	// What a reader passes over and Lint reports.
	infoFirst bool // commitInfo is the first action
	actions   int  // known and unknown ones
	protocols int  // how many there are; the last one counts
	metadatas int
}

// action is one line of a commit. Exactly one field is set; lines of unknown kinds set none.
type action struct {
	CommitInfo *CommitInfo     `json:"commitInfo,omitempty"`
	Protocol   *Protocol       `json:"protocol,omitempty"`
	Metadata   *Metadata       `json:"metaData,omitempty"`
	Txn        *Txn            `json:"txn,omitempty"`
	Domain     *DomainMetadata `json:"domainMetadata,omitempty"`
	Add        *Add            `json:"add,omitempty"`
	Remove     *Remove         `json:"remove,omitempty"`
}

// readAction is action with commitInfo left as it is: other writers put values of any type into it.
type readAction struct {
	CommitInfo json.RawMessage `json:"commitInfo"`
	Protocol   *Protocol       `json:"protocol"`
	Metadata   *Metadata       `json:"metaData"`
	Txn        *Txn            `json:"txn"`
	Domain     *DomainMetadata `json:"domainMetadata"`
	Add        *Add            `json:"add"`
	Remove     *Remove         `json:"remove"`
}

// parseCommit reads a commit file. Unknown actions and fields are passed over, as the protocol asks of readers. The error
// names the line.
func parseCommit(data []byte) (*commit, error) {
	c := &commit{}
	line := 0
	for text := range bytes.Lines(data) {
		line++
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		c.actions++
		if err := c.parseAction(text); err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
	}
	return c, nil
}

func (c *commit) parseAction(text []byte) error {
	var a readAction
	if err := json.Unmarshal(text, &a); err != nil {
		return err
	}
	return c.take(&a)
}

// take adds an action that was read.
func (c *commit) take(a *readAction) error {
	if present(a.CommitInfo) && c.info == nil {
		c.info, c.infoFirst = a.CommitInfo, c.actions == 1
		c.stamp = stampOf(c.info)
	}
	if a.Protocol != nil {
		c.protocol = a.Protocol
		c.protocols++
	}
	if m := a.Metadata; m != nil {
		if m.SchemaString == "" {
			return errors.New("metaData without schemaString")
		}
		// Required maps and lists: null is not empty to every reader, and this may be written again.
		if m.Format.Options == nil {
			m.Format.Options = map[string]string{}
		}
		if m.PartitionColumns == nil {
			m.PartitionColumns = []string{}
		}
		if m.Configuration == nil {
			m.Configuration = map[string]string{}
		}
		c.metadata = m
		c.metadatas++
	}
	if t := a.Txn; t != nil {
		if t.AppID == "" {
			return errors.New("txn without appId")
		}
		c.txns = append(c.txns, *t)
	}
	if d := a.Domain; d != nil {
		if d.Domain == "" {
			return errors.New("domainMetadata without domain")
		}
		c.domains = append(c.domains, *d)
	}
	if f := a.Add; f != nil {
		if f.Path == "" {
			return errors.New("add without path")
		}
		if len(f.PartitionValues) == 0 {
			f.PartitionValues = noValues
		}
		c.adds = append(c.adds, *f)
	}
	if f := a.Remove; f != nil {
		if f.Path == "" {
			return errors.New("remove without path")
		}
		c.removes = append(c.removes, *f)
	}
	return nil
}

// time is when the commit says that it was made, in milliseconds since the epoch; 0 when it does not.
func (c *commit) time() int64 {
	if c.stamp != nil {
		return *c.stamp
	}
	return parseInfo(c.info).Timestamp
}

// noValues is shared by all files without partition values. It is never written to.
var noValues = map[string]*string{}

// encode writes the commit, commitInfo first as in-commit timestamps want it.
func encode(info CommitInfo, c *commit) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // "<" in statistics stays one byte
	lines := make([]action, 0, 3+len(c.txns)+len(c.domains)+len(c.removes)+len(c.adds))
	lines = append(lines, action{CommitInfo: &info})
	if c.protocol != nil {
		lines = append(lines, action{Protocol: c.protocol})
	}
	if c.metadata != nil {
		lines = append(lines, action{Metadata: c.metadata})
	}
	for i := range c.txns {
		lines = append(lines, action{Txn: &c.txns[i]})
	}
	for i := range c.domains {
		lines = append(lines, action{Domain: &c.domains[i]})
	}
	for i := range c.removes {
		lines = append(lines, action{Remove: &c.removes[i]})
	}
	for i := range c.adds {
		lines = append(lines, action{Add: &c.adds[i]})
	}
	for i := range lines {
		if err := enc.Encode(&lines[i]); err != nil {
			return nil, err
		}
	}
	return buf.Bytes(), nil
}

// parseInfo reads what it can of a commitInfo. Real writers disagree on types (delta-rs has numbers in operationMetrics,
// Spark has strings), so a field of another type is taken as its JSON text or left out, and nothing is an error.
func parseInfo(raw json.RawMessage) CommitInfo {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return CommitInfo{}
	}
	var info CommitInfo
	info.Timestamp = lenientInt(fields["timestamp"])
	info.Operation = lenientString(fields["operation"])
	info.OperationParameters = lenientStrings(fields["operationParameters"])
	info.OperationMetrics = lenientStrings(fields["operationMetrics"])
	info.IsolationLevel = lenientString(fields["isolationLevel"])
	info.UserMetadata = lenientString(fields["userMetadata"])
	info.EngineInfo = lenientString(fields["engineInfo"])
	info.TxnID = lenientString(fields["txnId"])
	if present(fields["readVersion"]) {
		info.ReadVersion = new(lenientInt(fields["readVersion"]))
	}
	if present(fields["inCommitTimestamp"]) {
		info.InCommitTimestamp = new(lenientInt(fields["inCommitTimestamp"]))
	}
	if present(fields["isBlindAppend"]) {
		info.IsBlindAppend = new(string(fields["isBlindAppend"]) == "true")
	}
	return info
}

func present(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// lenientInt returns 0 for what is no integer. Some writers put integers in quotes.
func lenientInt(raw json.RawMessage) int64 {
	n, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func lenientString(raw json.RawMessage) string {
	var s string
	if !present(raw) {
		return ""
	}
	if json.Unmarshal(raw, &s) != nil {
		return strings.ToValidUTF8(string(raw), "\ufffd") // as it would be in a string
	}
	return s
}

func lenientStrings(raw json.RawMessage) map[string]string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return nil
	}
	out := make(map[string]string, len(fields))
	for k, v := range fields {
		out[k] = lenientString(v)
	}
	return out
}

package catalog

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/zerobus-go/zerobus/schema"
)

const (
	maxPropertyLength = 4096 // bytes, of key and value each
	maxProperties     = 100
)

// deltaProperties are the settings of Delta that CREATE TABLE passes on, because every writer and reader of the table can live
// with them. Others would ask for features that tables here do not have. norm gives the value as all readers take it, or "".
var deltaProperties = map[string]struct {
	norm func(string) string
	want string
}{
	"delta.appendOnly":                   {oneOf("true", "false"), "true or false"},
	"delta.logRetentionDuration":         {interval, "'interval 30 days' or the like"},
	"delta.deletedFileRetentionDuration": {interval, "'interval 7 days' or the like"},
	"delta.checkpointInterval":           {atLeast(1), "a whole number from 1"},
	"delta.dataSkippingNumIndexedCols":   {atLeast(-1), "a whole number from -1"},
	"delta.enableInCommitTimestamps":     {oneOf("true", "false"), "true or false"}, // the feature comes with it, see delta.Protocol.suiting
	"delta.dataSkippingStatsColumns":     {columnList, "names of columns with commas between them"},
	"delta.autoOptimize.autoCompact":     {oneOf("true", "false", "auto"), "true, false or auto"},
	"delta.columnMapping.mode":           {oneOf("none", "name", "id"), "none, name or id"},
	"delta.parquet.compression.codec":    {oneOf("zstd", "snappy", "gzip", "uncompressed"), "zstd, snappy, gzip or uncompressed"},
}

func oneOf(words ...string) func(string) string {
	return func(s string) string {
		if s = strings.ToLower(strings.TrimSpace(s)); slices.Contains(words, s) {
			return s
		}
		return ""
	}
}

func atLeast(least int64) func(string) string {
	return func(s string) string {
		n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 32)
		if err != nil || n < least {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
}

// columnList is looked at with the table's columns at hand.
func columnList(s string) string { return strings.TrimSpace(s) }

// span is the part of Spark's intervals that has one meaning: no months and years, whose length differs.
var span = regexp.MustCompile(`^(?:interval\s+)?(\d{1,9})\s+((?:week|day|hour|minute|second|millisecond)s?)$`)

// interval puts the word in front that delta-rs insists on and Spark does not need.
func interval(s string) string {
	m := span.FindStringSubmatch(strings.ToLower(strings.TrimSpace(s)))
	if m == nil {
		return ""
	}
	return "interval " + m[1] + " " + m[2]
}

// checkTable refuses what no table here can have and returns the table's properties as the Delta log shall have them.
func checkTable(ct *schema.CreateTable) (map[string]string, error) {
	if err := ct.Columns.ValidatePartitionBy(ct.PartitionBy); err != nil {
		return nil, invalid("%v", err)
	}
	return checkProperties(ct.Properties)
}

func checkProperties(given map[string]string) (map[string]string, error) {
	if len(given) > maxProperties {
		return nil, invalid("the table has %d properties, more than the limit of %d", len(given), maxProperties)
	}
	out := make(map[string]string, len(given))
	for _, key := range sortedKeys(given) { // sorted, so that of several faults always the same is told
		value := given[key]
		if key == "" || len(key) > maxPropertyLength || len(value) > maxPropertyLength {
			return nil, invalid("property %q is empty or longer than %d bytes", clip(key), maxPropertyLength)
		}
		if strings.HasPrefix(strings.ToLower(key), "delta.") {
			var err error
			if key, value, err = normDeltaProperty(key, value); err != nil {
				return nil, err
			}
		}
		if _, again := out[key]; again {
			return nil, invalid("property %s is given twice", key)
		}
		out[key] = value
	}
	return out, nil
}

// normDeltaProperty returns name and value as Delta spells them.
func normDeltaProperty(key, value string) (string, string, error) {
	known := sortedKeys(deltaProperties)
	i := slices.IndexFunc(known, func(name string) bool { return strings.EqualFold(name, key) })
	if i < 0 {
		return "", "", invalid("property %s is not supported; of delta.* these are: %s", clip(key), strings.Join(known, ", "))
	}
	p := deltaProperties[known[i]]
	norm := p.norm(value)
	if norm == "" {
		return "", "", invalid("property %s: %q is not valid; expected %s", known[i], clip(value), p.want)
	}
	return known[i], norm, nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

package partition

import "strings"

// Bounds of directory names in bytes: a name in the file system may have 255, a path in a store 1,024.
const (
	maxDirName = 120
	maxDirs    = 480
)

// hiveNull is the directory of nulls where others write one. A text of that name would be taken for it.
const hiveNull = "__HIVE_DEFAULT_PARTITION__"

// Dir is the directory of a partition's files, with a slash at its end, or empty. It is told by the partition values of an add action.
func (s *Scheme) Dir(values map[string]*string) string { return s.dir(values) }

// dir is the directory of a partition: column=value/ for each column, or none at all unless all names and values are letters,
// digits, dots, underscores and hyphens of ASCII. A column whose name begins with a dot or an underscore gives none, since such
// directories are hidden from many readers, nor does a value that ends with a dot, which Windows drops.
func (s *Scheme) dir(values map[string]*string) string {
	if s.flat {
		return ""
	}
	var b strings.Builder
	for _, name := range s.columns {
		v := values[name]
		if v == nil || *v == hiveNull || len(name)+len(*v) > maxDirName || !plain(name) || !plain(*v) ||
			name[0] == '.' || name[0] == '_' || strings.HasSuffix(*v, ".") {
			return ""
		}
		b.WriteString(name)
		b.WriteByte('=')
		b.WriteString(*v)
		b.WriteByte('/')
	}
	if b.Len() > maxDirs {
		return ""
	}
	return b.String()
}

// plain tells whether no file system and no URI gives the text a meaning of its own.
func plain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return s != ""
}

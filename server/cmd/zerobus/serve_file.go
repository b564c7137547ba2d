package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// maxConfig bounds a configuration file, in bytes. The largest that makes sense has a few thousand.
const maxConfig = 1 << 20

// readFile takes the settings of a file. It returns the line of each key, and all faults of the file.
func (s *settings) readFile(name string) (lines map[string]int, faults []fault, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("configuration file: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("configuration file: %w", err)
	case len(data) > maxConfig:
		return nil, nil, fmt.Errorf("configuration file: %s is larger than %d bytes", name, maxConfig)
	}
	lines, faults = s.parse(data)
	return lines, faults, nil
}

// parse takes the settings of a YAML document: one flat mapping from keys to plain values.
func (s *settings) parse(data []byte) (lines map[string]int, faults []fault) {
	lines = map[string]int{}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF): // nothing but comments
		return lines, nil
	case err != nil:
		return lines, []fault{syntaxFault(err)}
	}
	if err := dec.Decode(&more); err == nil {
		return lines, []fault{{line: more.Line, msg: "a second document begins: expected one"}}
	} else if !errors.Is(err, io.EOF) {
		return lines, []fault{syntaxFault(err)}
	}
	root := &doc
	if root.Kind == yaml.DocumentNode {
		root = root.Content[0]
	}
	switch {
	case root.Kind == yaml.ScalarNode && root.Tag == "!!null":
		return lines, nil
	case root.Kind != yaml.MappingNode:
		return lines, []fault{{line: root.Line, msg: "expected lines such as max_streams: 10000"}}
	}
	known := s.list()
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, val := root.Content[i], root.Content[i+1]
		add := func(format string, args ...any) {
			faults = append(faults, fault{key.Line, key.Value, fmt.Sprintf(format, args...)})
		}
		at := slices.IndexFunc(known, func(one setting) bool { return one.key == key.Value })
		switch {
		case at < 0 && key.Value == "":
			faults = append(faults, fault{key.Line, "", "expected the name of a setting"})
			continue
		case at < 0:
			add("there is no such setting%s", hint(key.Value, known))
			continue
		case lines[key.Value] > 0:
			add("it is set in line %d already", lines[key.Value])
			continue
		}
		lines[key.Value] = key.Line
		several, isList := known[at].value.(list)
		switch {
		case isList && val.Kind == yaml.SequenceNode:
			if texts, ok := plainTexts(val); !ok {
				add("expected a list of plain values")
			} else if err := several.Replace(texts); err != nil {
				add("%v", err)
			}
		case val.Kind != yaml.ScalarNode:
			add("expected one plain value")
		case val.Tag == "!!null" && val.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) == 0:
			add("it has no value: remove the line for the default")
		default:
			if err := known[at].value.Set(val.Value); err != nil {
				add("%v", err)
			}
		}
	}
	return lines, faults
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntaxFault is what the YAML parser says, with its line where ours are.
func syntaxFault(err error) fault {
	m := yamlLine.FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " "))
	if m == nil {
		return fault{line: 1, msg: err.Error()}
	}
	line, _ := strconv.Atoi(m[1])
	return fault{line: max(line, 1), msg: "not YAML: " + m[2]}
}

// hint names the setting that may have been meant.
func hint(key string, known []setting) string {
	plain := strings.ToLower(strings.ReplaceAll(key, "-", "_"))
	best, distance := "", 1+max(2, len(plain)/3)
	for _, one := range known {
		if d := edits(plain, one.key); d < distance {
			best, distance = one.key, d
		}
		if strings.EqualFold(strings.ReplaceAll(plain, "_", ""), one.field) {
			best, distance = one.key, 0
		}
	}
	if best == "" {
		return "; --print-config lists them"
	}
	return ": did you mean " + best + "?"
}

// edits is how many letters must be changed, added or left out to make b of a (Levenshtein).
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// print writes the settings as a file that parse reads, each with what it means and its default. None of them is a secret.
func (s *settings) print(w io.Writer) error {
	var b bytes.Buffer
	b.WriteString("# Configuration of zerobus serve. Flags come before it: --data is data, --grpc-listen is grpc_listen.\n" +
		"# zerobus serve --config FILE --print-config checks a file and prints what is in effect.\n")
	defaults := defaultSettings().list()
	for i, one := range s.list() {
		b.WriteByte('\n')
		for _, line := range wrap(one.doc, 110) {
			b.WriteString("# " + line + "\n")
		}
		if def := defaults[i].value.String(); def != "" {
			b.WriteString("# Default: " + def + "\n")
		}
		b.WriteString(one.key + ": " + written(one.value) + "\n")
	}
	_, err := w.Write(b.Bytes())
	return err
}

// plainTexts are the elements of a list, when they are no lists and not empty.
func plainTexts(seq *yaml.Node) (texts []string, ok bool) {
	for _, n := range seq.Content {
		if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
			return nil, false
		}
		texts = append(texts, n.Value)
	}
	return texts, true
}

// written is a value as it stands in the file.
func written(v pflag.Value) string {
	l, ok := v.(list)
	if !ok {
		return scalar(v.String())
	}
	all := make([]string, len(l.GetSlice()))
	for i, s := range l.GetSlice() {
		all[i] = inQuotes(s)
	}
	return "[" + strings.Join(all, ", ") + "]"
}

var plainScalar = regexp.MustCompile(`^[A-Za-z0-9./][A-Za-z0-9._,/+-]*(:[A-Za-z0-9._,/+-]+)*$`)

// scalar writes a value so that every YAML reader takes it for text, or for the number that it is. JSON's strings are YAML's.
func scalar(s string) string {
	switch strings.ToLower(s) {
	case "on", "off", "true", "false", "yes", "no", "y", "n", "null":
	default:
		if plainScalar.MatchString(s) {
			return s
		}
	}
	return inQuotes(s)
}

func inQuotes(s string) string {
	b := new(bytes.Buffer)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string can be encoded
	return strings.TrimSpace(b.String())
}

// wrap breaks a text into lines.
func wrap(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/zerobus-go/zerobus/schema"
	"golang.org/x/term"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// maxMessageFile bounds a file with messages, in bytes.
const maxMessageFile = 64 << 20

// compare reads a message and prints how it fits the table. It is an error when no stream would open.
func (g *generateFlags) compare(cmd *cobra.Command, table sourceTable) error {
	file, md, err := readMessage(cmd.Context(), g.check, g.message, cmd.InOrStdin())
	if err != nil {
		return err
	}
	r := newFitReport(file, md, table)
	out := cmd.OutOrStdout()
	if g.asJSON {
		err = printJSON(out, r)
	} else {
		r.print(out)
	}
	return errors.Join(err, r.err())
}

// fitReport is what --check finds.
type fitReport struct {
	File     string       `json:"file"`
	Message  string       `json:"message"`
	Table    string       `json:"table"`
	Fields   int          `json:"fields"`
	Fits     bool         `json:"fits"` // a stream would open
	Findings []fitFinding `json:"findings"`
}

type fitFinding struct {
	Effect string `json:"effect"`
	Path   string `json:"path"`
	Field  string `json:"field,omitempty"`
	Column string `json:"column,omitempty"`
	Reason string `json:"reason"`
}

func newFitReport(file string, md protoreflect.MessageDescriptor, table sourceTable) fitReport {
	found := schema.CheckMessage(md, table.columns)
	r := fitReport{
		File: file, Message: string(md.FullName()), Table: table.name, Fields: md.Fields().Len(),
		Fits: found.Err() == nil, Findings: make([]fitFinding, len(found)),
	}
	for i, f := range found {
		r.Findings[i] = fitFinding{f.Effect.String(), f.Path, f.Field, f.Column, f.Reason}
	}
	return r
}

// err is one line that names what is refused; nil when nothing is.
func (r fitReport) err() error {
	if r.Fits {
		return nil
	}
	const most = 5
	var refused []string
	for _, f := range r.Findings {
		if f.Effect == schema.Refused.String() {
			refused = append(refused, cut(f.Path, false))
		}
	}
	if n := len(refused); n > most {
		refused = append(refused[:most], fmt.Sprintf("and %d more", n-most))
	}
	return fmt.Errorf("%s: message %s does not fit %s, no stream would open: %s", r.File, r.Message, r.Table, strings.Join(refused, ", "))
}

// print writes the findings, and a line when the message fits.
func (r fitReport) print(w io.Writer) {
	if r.Fits {
		fmt.Fprintf(w, "%s fits %s: %s\n", r.File, r.Table, fieldCount(r.Fields))
	}
	if len(r.Findings) == 0 {
		return
	}
	if r.Fits {
		fmt.Fprintln(w)
	}
	headings := []string{"effect", "path", "field", "column", "reason"}
	rows := make([][]string, len(r.Findings))
	for i, f := range r.Findings {
		rows[i] = []string{f.Effect, f.Path, f.Field, f.Column, f.Reason}
	}
	if f, ok := w.(*os.File); ok && isTerminal(w) {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil {
			rows = fitTerminal(headings, rows, width)
		}
	}
	printTable(w, headings, rows)
}

// Widths on a terminal, in characters.
const (
	maxTypeCell   = 18 // a type; the reason and the table itself say more
	minReasonCell = 24
)

// fitTerminal shortens types and breaks reasons into lines, so that the table is as wide as the terminal and no reason is cut.
// Only very long paths still make it wider.
func fitTerminal(headings []string, rows [][]string, width int) [][]string {
	const field, column, reason = 2, 3, 4
	widths := make([]int, reason)
	for i := range widths {
		widths[i] = len(headings[i])
	}
	for _, row := range rows {
		row[field], row[column] = shorten(row[field], maxTypeCell), shorten(row[column], maxTypeCell)
		for i := range widths {
			widths[i] = max(widths[i], utf8.RuneCountInString(cut(row[i], true)))
		}
	}
	for _, w := range widths {
		width -= w + 2
	}
	width = min(max(width, minReasonCell), maxCell)
	var fitted [][]string
	for _, row := range rows {
		for i, line := range foldText(row[reason], width) {
			if i > 0 {
				row = make([]string, len(headings))
			}
			fitted = append(fitted, append(row[:reason:reason], line))
		}
	}
	return fitted
}

// shorten cuts a text to a number of characters.
func shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

// foldText breaks a text between words into lines of at most width characters. A longer word has a line of its own.
func foldText(text string, width int) []string {
	var lines []string
	for _, word := range strings.Fields(text) {
		if n := len(lines); n > 0 && utf8.RuneCountInString(lines[n-1])+1+utf8.RuneCountInString(word) <= width {
			lines[n-1] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	if lines == nil {
		return []string{""}
	}
	return lines
}

// readMessage finds the message in a file: the one of that name, full or short, or without a name the only one.
func readMessage(ctx context.Context, path, message string, stdin io.Reader) (file string, md protoreflect.MessageDescriptor, err error) {
	file, data, err := readLimited(ctx, path, stdin, maxMessageFile)
	if err != nil {
		return file, nil, err
	}
	if isProtoText(file, data) {
		md, err = messageOfText(file, data, message)
	} else {
		md, err = messageOfBinary(data, message)
	}
	if err != nil {
		return file, nil, fmt.Errorf("%s: %w", file, err)
	}
	return file, md, nil
}

// isProtoText tells .proto text from serialized descriptors, which have control characters from their second byte on.
func isProtoText(file string, data []byte) bool {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".pb", ".bin", ".desc":
		return false
	}
	control := func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\n\v\f\r", r) }
	return utf8.Valid(data) && bytes.IndexFunc(data, control) < 0
}

func messageOfText(file string, data []byte, message string) (protoreflect.MessageDescriptor, error) {
	f, err := schema.ParseProto(string(data))
	if err != nil {
		return nil, err
	}
	// Its types are all its own, so imports give it at most options.
	f.Name, f.Dependency, f.PublicDependency, f.WeakDependency = proto.String(filepath.Base(file)), nil, nil, nil
	fd, err := protodesc.NewFile(f, nil)
	if err != nil {
		return nil, errors.New(protoReason(err))
	}
	return pickMessage(fd, message)
}

// messageOfBinary reads a FileDescriptorSet or a DescriptorProto. A set keeps all of its bytes in its one field; for a
// DescriptorProto that is the name, and its fields are unknown to a set.
func messageOfBinary(data []byte, message string) (protoreflect.MessageDescriptor, error) {
	set := new(descriptorpb.FileDescriptorSet)
	if proto.Unmarshal(data, set) == nil && len(set.GetFile()) > 0 && len(set.ProtoReflect().GetUnknown()) == 0 {
		return messageOfSet(set, message)
	}
	d := new(descriptorpb.DescriptorProto)
	if err := proto.Unmarshal(data, d); err != nil || !protoreflect.Name(d.GetName()).IsValid() {
		return nil, errors.New("it is neither .proto text nor a serialized FileDescriptorSet or DescriptorProto")
	}
	if message != "" && message != d.GetName() {
		return nil, fmt.Errorf("there is no message %s, only %s", message, d.GetName())
	}
	return schema.Resolve(d)
}

// messageOfSet looks in the last file, which is the one that protoc was called for, and for a full name in all of them.
func messageOfSet(set *descriptorpb.FileDescriptorSet, message string) (protoreflect.MessageDescriptor, error) {
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, fmt.Errorf("%s: was it made with protoc --include_imports?", protoReason(err))
	}
	if d, err := files.FindDescriptorByName(protoreflect.FullName(message)); err == nil {
		if md, ok := d.(protoreflect.MessageDescriptor); ok {
			return md, nil
		}
	}
	last, err := files.FindFileByPath(set.GetFile()[len(set.GetFile())-1].GetName())
	if err != nil {
		return nil, err
	}
	return pickMessage(last, message)
}

// protoReason is an error of the protobuf library without the library's name, and without the kind of space behind it, which is
// not always the same.
func protoReason(err error) string {
	return strings.TrimLeft(strings.TrimPrefix(err.Error(), "proto:"), " \u00a0")
}

// pickMessage finds a message of the file by its full or its short name. Without a name it is the only one, those within others
// apart.
func pickMessage(fd protoreflect.FileDescriptor, name string) (protoreflect.MessageDescriptor, error) {
	var all, found []protoreflect.MessageDescriptor
	if name == "" {
		found = appendMessages(nil, fd.Messages(), false)
		all = found
	} else {
		all = appendMessages(nil, fd.Messages(), true)
		for _, md := range all {
			if string(md.FullName()) == name {
				return md, nil
			}
			if string(md.Name()) == name {
				found = append(found, md)
			}
		}
	}
	switch {
	case len(all) == 0:
		return nil, errors.New("there is no message in it")
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0:
		return nil, fmt.Errorf("there is no message %s, only %s", name, nameList(all))
	}
	return nil, fmt.Errorf("there are several messages, choose one with --proto-msg: %s", nameList(found))
}

// appendMessages adds messages, and those within them when that is asked, without the entries of maps.
func appendMessages(to []protoreflect.MessageDescriptor, mds protoreflect.MessageDescriptors, within bool) []protoreflect.MessageDescriptor {
	for i := range mds.Len() {
		md := mds.Get(i)
		if md.IsMapEntry() {
			continue
		}
		to = append(to, md)
		if within {
			to = appendMessages(to, md.Messages(), within)
		}
	}
	return to
}

// nameList is the full names of some messages, not too many for one line.
func nameList(mds []protoreflect.MessageDescriptor) string {
	const most = 20
	names := make([]string, 0, most+1)
	for _, md := range mds[:min(len(mds), most)] {
		names = append(names, string(md.FullName()))
	}
	slices.Sort(names)
	if n := len(mds); n > most {
		names = append(names, fmt.Sprintf("and %d more", n-most))
	}
	return strings.Join(names, ", ")
}

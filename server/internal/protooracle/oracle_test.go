package protooracle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/bufbuild/protocompile/reporter"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"pgregory.net/rapid"

	"github.com/zerobus-go/zerobus/schema"
)

// compile is what protocompile makes of a text, which may import what is in testdata/imports.
func compile(text string) (*descriptorpb.FileDescriptorProto, error) {
	source := &protocompile.SourceResolver{Accessor: func(path string) (io.ReadCloser, error) {
		if path == "m.proto" {
			return io.NopCloser(strings.NewReader(text)), nil
		}
		return os.Open(filepath.Join("testdata", "imports", path))
	}}
	c := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(source),
		MaxParallelism: 1,
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := c.Compile(context.Background(), "m.proto")
	if err != nil {
		return nil, err
	}
	result, ok := files[0].(linker.Result)
	if !ok {
		return nil, errors.New("the compiler gave no descriptor")
	}
	return result.FileDescriptorProto(), nil
}

// reduce drops from a file what ParseProto does not keep, and puts locations in order.
func reduce(f *descriptorpb.FileDescriptorProto) *descriptorpb.FileDescriptorProto {
	f = proto.CloneOf(f)
	f.Name, f.Options, f.Service, f.Extension = nil, nil, nil, nil
	if f.Syntax == nil {
		f.Syntax = proto.String("proto2")
	}
	for _, m := range f.GetMessageType() {
		reduceMessage(m)
	}
	for _, e := range f.GetEnumType() {
		reduceEnum(e)
	}
	info := &descriptorpb.SourceCodeInfo{}
	for _, l := range f.GetSourceCodeInfo().GetLocation() {
		if l.GetLeadingComments()+l.GetTrailingComments() != "" && isDeclaration(l.GetPath()) {
			l.LeadingDetachedComments = nil
			info.Location = append(info.Location, l)
		}
	}
	slices.SortFunc(info.Location, func(a, b *descriptorpb.SourceCodeInfo_Location) int { return slices.Compare(a.GetPath(), b.GetPath()) })
	f.SourceCodeInfo = info
	return f
}

func reduceMessage(m *descriptorpb.DescriptorProto) {
	if !m.GetOptions().GetMapEntry() {
		m.Options = nil
	}
	m.ReservedName, m.ReservedRange, m.ExtensionRange = nil, nil, nil
	for _, f := range m.GetField() {
		f.JsonName, f.DefaultValue = nil, nil
		if o := f.GetOptions(); o != nil {
			f.Options = nil
			if o.Packed != nil {
				f.Options = &descriptorpb.FieldOptions{Packed: o.Packed}
			}
		}
	}
	for _, o := range m.GetOneofDecl() {
		o.Options = nil
	}
	for _, n := range m.GetNestedType() {
		reduceMessage(n)
	}
	for _, e := range m.GetEnumType() {
		reduceEnum(e)
	}
}

func reduceEnum(e *descriptorpb.EnumDescriptorProto) {
	alias := e.GetOptions().GetAllowAlias()
	e.Options, e.ReservedName, e.ReservedRange = nil, nil, nil
	if alias {
		e.Options = &descriptorpb.EnumOptions{AllowAlias: proto.Bool(true)}
	}
	for _, v := range e.GetValue() {
		v.Options = nil
	}
}

// isDeclaration reports whether a path is that of a message, a field, a oneof, an enum or an enum value.
func isDeclaration(path []int32) bool {
	inside := map[int32]string{4: "message", 5: "enum"}
	for len(path) > 1 {
		switch inside[path[0]] {
		case "message":
			inside = map[int32]string{2: "leaf", 3: "message", 4: "enum", 8: "leaf"}
		case "enum":
			inside = map[int32]string{2: "leaf"}
		case "leaf":
			inside = nil
		default:
			return false
		}
		path = path[2:]
	}
	return len(path) == 0
}

// withoutSpans is a file without the places of its declarations, of which the makers of descriptors know nothing.
func withoutSpans(f *descriptorpb.FileDescriptorProto) *descriptorpb.FileDescriptorProto {
	for _, l := range f.GetSourceCodeInfo().GetLocation() {
		l.Span = nil
	}
	return f
}

// checkSame checks that both parsers take a text and make the same of it.
func checkSame(t rapid.TB, text string) {
	t.Helper()
	ours, err := schema.ParseProto(text)
	if err != nil {
		t.Fatalf("schema: %v\n%s", err, text)
	}
	theirs, err := compile(text)
	if err != nil {
		t.Fatalf("protocompile: %v\n%s", err, text)
	}
	if got, want := reduce(ours), reduce(theirs); !proto.Equal(got, want) {
		t.Fatalf("%s\ngot  %v\nwant %v", text, got, want)
	}
}

// corpus are files that both take.
func corpus(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.proto")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	texts := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(file)] = string(text)
	}
	return texts
}

func TestOracle_CorpusIsParsedAlike(t *testing.T) {
	comment := regexp.MustCompile(`(?s)/\*.*?\*/|//[^\n]*`)
	for file, text := range corpus(t) {
		t.Run(file, func(t *testing.T) {
			checkSame(t, text)
			checkSame(t, strings.ReplaceAll(text, "\n", "\n\n"))
			checkSame(t, comment.ReplaceAllString(text, " "))
			f, err := schema.ParseProto(text)
			if err != nil {
				t.Fatal(err)
			}
			checkSame(t, schema.FormatProto(f))
		})
	}
}

// drawFields makes columns that protobuf can say, some with names that one could take for something else. None is of
// underscores alone: protocompile has a bug with maps of such a name, whose entries protoc calls Entry.
func drawFields(rt *rapid.T, depth int) []schema.Field {
	name := rapid.OneOf(
		rapid.StringMatching(`_?[A-Za-z][a-z0-9_]{0,4}`),
		rapid.SampledFrom([]string{"message", "enum", "oneof", "optional", "repeated", "reserved", "group", "map", "string", "int32", "option", "value"}),
	)
	same := func(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) } // for the names of maps' entries
	var fields []schema.Field
	for _, name := range rapid.SliceOfNDistinct(name, 1, 5, same).Draw(rt, "names") {
		fields = append(fields, schema.Field{
			Name: name, Type: drawType(rt, depth), Nullable: rapid.Bool().Draw(rt, "nullable"),
			Comment: rapid.OneOf(rapid.Just(""), rapid.StringMatching(`[ -~é\n\t]{0,12}`), rapid.SampledFrom([]string{"*/", "\n", "a\n\nb", "; }"})).Draw(rt, "comment"),
		})
	}
	return fields
}

func drawType(rt *rapid.T, depth int) schema.Type {
	switch rapid.IntRange(0, 4).Draw(rt, "form") {
	case 0:
		elem := drawSingle(rt, depth)
		return schema.Type{Kind: schema.Array, Elem: &elem}
	case 1:
		key := schema.Type{Kind: rapid.SampledFrom([]schema.Kind{schema.Boolean, schema.Integer, schema.Long, schema.String, schema.Date}).Draw(rt, "key")}
		elem := drawSingle(rt, depth)
		return schema.Type{Kind: schema.Map, Key: &key, Elem: &elem}
	}
	return drawSingle(rt, depth)
}

func drawSingle(rt *rapid.T, depth int) schema.Type {
	if depth > 0 && rapid.Bool().Draw(rt, "nested") {
		return schema.Type{Kind: schema.StructKind, Fields: drawFields(rt, depth-1)}
	}
	t := schema.Type{Kind: schema.Kind(rapid.IntRange(int(schema.Boolean), int(schema.Variant)).Draw(rt, "kind"))}
	if t.Kind == schema.Decimal {
		t.Precision = rapid.IntRange(1, schema.MaxDecimalPrecision).Draw(rt, "precision")
	}
	return t
}

// What FormatProto prints is what the descriptor says, comments included.
func TestOracle_FilesOfTablesCompile(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := schema.Struct{Fields: drawFields(rt, 3)}
		f, err := s.Proto(rapid.SampledFrom([]string{"M", "message", "string"}).Draw(rt, "message"))
		if err != nil {
			rt.Fatal(err)
		}
		text := schema.FormatProto(f)
		theirs, err := compile(text)
		if err != nil {
			rt.Fatalf("%v\n%s", err, text)
		}
		if got, want := withoutSpans(reduce(theirs)), withoutSpans(reduce(f)); !proto.Equal(got, want) {
			rt.Fatalf("%s\ngot  %v\nwant %v", text, got, want)
		}
		checkSame(rt, text)
	})
}

// skeleton is a file that has comments where § is.
const skeleton = `§syntax§=§"proto3"§;§package§p§;§message§M§{§int32§a§=§1§;§optional§string§b§=§2§[§deprecated§=§true§]§;§oneof§o§{§int32§c§=§3§;` +
	`§int32§d§=§4§;§}§map§<§int32§,§E§>§e§=§5§;§reserved§6§;§message§N§{§int32§f§=§1§;§}§enum§E§{§Z§=§0§;§Y§=§-§1§;§}§}` +
	`§option§java_package§=§"x"§;§enum§F§{§F0§=§0§;§}§`

// comments puts random comments and lines into the skeleton, most of them where they belong to something.
func comments(r *rand.Rand) string {
	var b strings.Builder
	for _, token := range strings.Split(skeleton, "§") {
		b.WriteString(token + " ")
		n := r.IntN(6)
		if !strings.Contains("{};", token) {
			n /= 5
		}
		for i := range n {
			switch r.IntN(5) {
			case 0:
				b.WriteByte('\n')
			case 1:
				fmt.Fprintf(&b, "// %s%d\n", token, i)
			case 2:
				fmt.Fprintf(&b, "/* %s%d */", token, i)
			case 3:
				fmt.Fprintf(&b, "/* %s%d\n  * x */", token, i)
			}
		}
	}
	return b.String()
}

func TestOracle_CommentsAreAttachedAlike(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 500 {
		checkSame(t, comments(r))
	}
}

// tokens are where a file can be cut: comments, strings, words, blanks and characters.
var tokens = regexp.MustCompile(`//[^\n]*\n|(?s:/\*.*?\*/)|"[^"\n]*"|'[^'\n]*'|\w+|\s+|.`)

// strange are tokens that surprise a parser.
var strange = strings.Fields("0 -1 19000 536870912 4294967296 08 1.5 .5 x M E group extend edition map optional required repeated message enum oneof option " +
	`reserved extensions service to max string int32 true " "\q" 'a'"b" /* */ // { } [ ] < > ( ) ; = , . - @ é`)

// mutate changes one or two tokens of a file.
func mutate(r *rand.Rand, text string) string {
	list := tokens.FindAllString(text, -1)
	for range 1 + r.IntN(2) {
		i, j := r.IntN(len(list)), r.IntN(len(list))
		switch r.IntN(6) {
		case 0:
			list[i] = ""
		case 1:
			list[i] += " " + list[i]
		case 2:
			list[i], list[j] = list[j], list[i]
		case 3:
			list[i] = list[j]
		case 4:
			list[i] = strange[r.IntN(len(strange))]
		case 5:
			list[i] += " " + strange[r.IntN(len(strange))] + " "
		}
	}
	return strings.Join(list, "")
}

// passedOver are the words of statements that ParseProto reads without asking what they mean.
var passedOver = regexp.MustCompile(`\b(option|import|service|rpc)\b|\[`)

// isPassedOver reports whether an error is about such a statement: the word is on the line of the error or on the two before.
func isPassedOver(text string, err error) bool {
	var at reporter.ErrorWithPos
	if !errors.As(err, &at) {
		return false
	}
	lines := strings.Split(text, "\n")
	line := min(at.GetPosition().Line, len(lines))
	return passedOver.MatchString(strings.Join(lines[max(0, line-3):line], "\n"))
}

func TestOracle_MutationsAreTakenOrRefusedAlike(t *testing.T) {
	files := corpus(t)
	names := slices.Sorted(maps.Keys(files))
	r := rand.New(rand.NewPCG(1, 2))
	taken, refused := 0, 0
	for range 2000 {
		text := mutate(r, files[names[r.IntN(len(names))]])
		ours, err := schema.ParseProto(text)
		theirs, theirErr := compile(text)
		switch {
		case err != nil && theirErr == nil:
			t.Errorf("only schema: %v\n%s", err, text)
		case err == nil && theirErr != nil && !isPassedOver(text, theirErr):
			t.Errorf("only protocompile: %v\n%s", theirErr, text)
		case err != nil || theirErr != nil:
			refused++
		case !proto.Equal(reduce(ours), reduce(theirs)):
			t.Errorf("%s\ngot  %v\nwant %v", text, reduce(ours), reduce(theirs))
		default:
			taken++
		}
	}
	if taken < 200 || refused < 200 {
		t.Errorf("%d taken, %d refused: that says little", taken, refused)
	}
}

// What is wrong with a file is wrong for both; what only schema refuses is in the documentation of ParseProto.
func TestOracle_RefusalsAreShared(t *testing.T) {
	for _, text := range []string{
		`syntax = "proto4";`, `; syntax = "proto3";`, `package a; package b;`, `import "options.proto"; import "options.proto";`, `package a.;`,
		`message M {`, `message { }`, `message M { } message M { }`, `message M { } enum M { A = 0; }`, `message M { } service M { }`, `message M } {`,
		`message M { int32 a = 1; }`, `message M { optional a = 1; }`, `message M { optional int32 a; }`, `message M { optional X a = 1; }`,
		`message M { optional int32 a = 0; }`, `message M { optional int32 a = 536870912; }`, `message M { optional int32 a = 19000; }`,
		`message M { optional int32 a = 1.0; }`, `message M { optional int32 a = -1; }`, `message M { optional int32 a = 08; }`,
		`message M { optional int32 a = 1; optional int32 b = 1; }`, `message M { optional int32 a = 1; optional int32 a = 2; }`,
		`message M { optional int32 a = 1 [packed = true]; }`, `message M { repeated string a = 1 [packed = true]; }`,
		`message M { repeated M a = 1 [packed = true]; }`, `message M { repeated int32 a = 1 [packed = 1]; }`, `message M { optional int32 a = 1 []; }`,
		`syntax = "proto3"; message M { required int32 a = 1; }`, `syntax = "proto3"; message M { extensions 5; }`,
		`message M { oneof x { } }`, `message M { oneof x { optional int32 a = 1; } }`, `message M { oneof x { ; } }`, `message M { oneof x { map<int32, M> a = 1; } }`,
		`message M { repeated map<int32, M> a = 1; }`, `message M { map<float, M> a = 1; }`, `message M { map<M, M> a = 1; }`, `message M { map<int32, map<int32, M>> a = 1; }`,
		`message M { map<int32, M> a = 1; message AEntry { } }`, `message M { map<int32, M> a_b = 1; map<int32, M> aB = 2; }`,
		`message M { map<int32, M> a = 1; optional AEntry b = 2; }`, `message M { optional M.X a = 1; message M { } } message X { }`,
		`enum E { }`, `enum E { A; }`, `enum E { A = 2147483648; }`, `enum E { A = 1; A = 2; }`, `enum E { A = 1; } enum F { A = 1; }`, `enum E { A = 1; B = 1; }`,
		`enum E { option allow_alias = true; A = 1; B = 2; }`, `syntax = "proto3"; enum E { A = 1; }`,
		`message M { reserved 5; optional int32 a = 5; }`, `message M { reserved "a"; optional int32 a = 5; }`, `message M { extensions 5 to max; optional int32 a = 9; }`,
		`message M { reserved a; }`, `message M { reserved "a", "a"; }`, `message M { reserved "a", 5; }`, `message M { reserved 5 to 4; }`, `message M { reserved 5, 3 to 7; }`,
		`enum E { A = 1; reserved 0 to max; }`, `enum E { A = 1; reserved "A"; }`,
		`/*`, `message M { @ }`, "option java_package = \"x\n\";", `option java_package = "\q";`, `option java_package = "\400";`, "message M { \x00 }", `message M { é }`,
	} {
		ours, err := schema.ParseProto(text)
		if err == nil {
			t.Errorf("schema takes %s as %v", text, ours)
		}
		if _, err := compile(text); err == nil {
			t.Errorf("protocompile takes %s", text)
		}
	}
}

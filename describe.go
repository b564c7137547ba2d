package zerobus

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/zerobus-go/zerobus/internal/recovery"
	"github.com/zerobus-go/zerobus/internal/rest"
	"github.com/zerobus-go/zerobus/internal/unity"
	"github.com/zerobus-go/zerobus/schema"
)

// DescribeTable asks Unity Catalog, at the workspace URL that [New] was given, for the table's columns, and returns the
// table for protobuf records with a descriptor of all of them: nobody writes or compiles a .proto file. See [DescribedTable]
// for what its streams take.
//
// It makes one request for a token, if auth is [ClientCredentials], and one for the table, and returns when ctx ends or
// after 30 s for each; it does not try again. The token of any other provider, such as [NewOAuthHeadersProvider]'s, must be
// good for Unity Catalog's API, which one for a stream may not be. The principal needs SELECT or MODIFY on the table. A
// table that is not there is an [ErrTableNotFound], a refused principal an [ErrAuth], a column that protobuf cannot say an
// [ErrInvalidArgument]; the latter names the column and a way out. What may pass is retriable.
func (k *SDK) DescribeTable(ctx context.Context, name string, auth Auth) (TableProperties, error) {
	const op = "describe table"
	columns, err := k.columns(ctx, op, name, auth)
	if err != nil {
		return TableProperties{}, err
	}
	t, err := DescribedTable(name, columns)
	if err != nil {
		err.(*Error).Op = op
	}
	return t, err
}

// DescribedTable is a table whose columns are known, from [SDK.DescribeTable] or a statement ([schema.ParseCreateTable]), for
// protobuf records with a descriptor made of them.
//
// Its streams take protobuf records of the descriptor: encoded ones, and messages whose fields have its numbers and types.
// They also take JSON records ([JSON], [JSONString], [JSONBytes]), which are encoded as protobuf by the ingest call, without
// reflection: a JSON record must fit the table by the same rules as on a JSON stream, and one that does not is an
// [ErrInvalidArgument] at once, with the field's path; nothing of it is sent.
//
// A column that protobuf cannot say is an ErrInvalidArgument that names the column and a way out.
func DescribedTable(name string, columns *schema.Struct) (TableProperties, error) {
	const op = "make descriptor"
	if err := checkTableName(name); err != nil {
		return TableProperties{}, newError(op, name, ErrInvalidTableName, err)
	}
	if columns == nil {
		return TableProperties{}, invalid(op, name, "the columns are nil")
	}
	message := name[strings.LastIndexByte(name, '.')+1:]
	if c := message[0]; c >= '0' && c <= '9' {
		message = "_" + message
	}
	d, err := describe(columns, message)
	if err != nil {
		return TableProperties{}, newError(op, name, ErrInvalidArgument, err)
	}
	return TableProperties{
		Name: name, RecordType: RecordTypeProto, Columns: columns,
		Descriptor: proto.CloneOf(d.descriptor), message: d.message, described: d,
	}, nil
}

// described is what is made of a table's columns. It does not change, but for what it remembers.
type described struct {
	descriptor *descriptorpb.DescriptorProto
	message    protoreflect.MessageDescriptor // the same, linked
	encoder    *schema.Encoder                // of JSON records into such messages
	fitting    atomic.Value                   // the fitted that fits has seen last
}

func describe(columns *schema.Struct, message string) (*described, error) {
	if err := columns.Validate(); err != nil {
		return nil, err
	}
	d, err := columns.Descriptor(message)
	if err != nil {
		return nil, err
	}
	md, err := schema.Resolve(d)
	if err != nil {
		return nil, err
	}
	e, err := schema.NewEncoder(columns)
	return &described{descriptor: d, message: md, encoder: e}, err
}

// fits returns why messages of a type cannot be records of the table, which the server reads by its descriptor: each field must
// have its number and its type there.
func (d *described) fits(md protoreflect.MessageDescriptor) error {
	if md == d.message {
		return nil
	}
	if last, ok := d.fitting.Load().(fitted); ok && last.message == md {
		return nil
	}
	if err := sameFields(md, d.message, 0); err != nil {
		return err
	}
	d.fitting.Store(fitted{md})
	return nil
}

// fitted is a type of messages that fits a table.
type fitted struct {
	message protoreflect.MessageDescriptor
}

// sameFields returns an error for the first field of md that is another one, or none, in want.
func sameFields(md, want protoreflect.MessageDescriptor, depth int) error {
	if depth > schema.MaxDepth {
		return fmt.Errorf("messages of type %s are nested too deep", md.FullName())
	}
	for i := range md.Fields().Len() {
		f := md.Fields().Get(i)
		w := want.Fields().ByName(f.Name())
		switch {
		case w == nil:
			return fmt.Errorf("field %s is no column", f.FullName())
		case f.Number() != w.Number(), f.Kind() != w.Kind(), f.IsList() != w.IsList(), f.IsMap() != w.IsMap(), f.IsPacked() != w.IsPacked():
			return fmt.Errorf("field %s is not the field %d that the table's descriptor has for the column; for a message of one's own there is ProtoTable",
				f.FullName(), w.Number())
		case f.Message() != nil:
			if err := sameFields(f.Message(), w.Message(), depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// columns fetches the columns of a table.
func (k *SDK) columns(ctx context.Context, op, table string, auth Auth) (*schema.Struct, error) {
	switch {
	case k == nil || k.streams == nil:
		return nil, newError(op, table, ErrInvalidState, errors.New("the SDK is nil or the zero SDK; make it with New"))
	case ctx == nil:
		return nil, newError(op, table, ErrInvalidArgument, errNilContext)
	case auth == nil:
		return nil, invalid(op, table, "there is no Auth; give ClientCredentials or a HeadersProvider")
	case k.workspaceURL == "":
		return nil, invalid(op, table, "Unity Catalog is at the workspace URL, and New was given none")
	}
	if err := checkTableName(table); err != nil {
		return nil, newError(op, table, ErrInvalidTableName, err)
	}
	var noToken error
	columns, err := unity.Fetch(ctx, unity.Config{
		Endpoint: k.workspaceURL,
		Token: func(ctx context.Context) (token string, err error) {
			token, err = k.catalogToken(ctx, table, auth)
			noToken = err
			return token, err
		},
		Client: k.http(),
	}, table)
	var answer *rest.Error
	switch {
	case err == nil:
		return columns, nil
	case errors.As(err, &answer) && answer.Status == http.StatusNotFound && noToken == nil:
		return nil, newError(op, table, ErrTableNotFound, recovery.Permanent(err))
	case answer != nil:
		err = tokenError(err)
	}
	return nil, newError(op, table, nil, err)
}

// catalogToken is a token for Unity Catalog's API. Tokens for streams are of no use there.
func (k *SDK) catalogToken(ctx context.Context, table string, auth Auth) (string, error) {
	switch c := auth.(type) {
	case ClientCredentials:
		return unity.ClientToken(k.workspaceURL, c.ID, c.Secret, k.http())(ctx)
	case *ClientCredentials:
		return unity.ClientToken(k.workspaceURL, c.ID, c.Secret, k.http())(ctx)
	}
	md, _, err := fetchHeaders(ctx, auth, k.target(table), k.log)
	if err != nil {
		return "", err
	}
	scheme, token, _ := strings.Cut(md[headerAuthorization][0], " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", fmt.Errorf("%w: the headers provider gave an authorization that is no bearer token", ErrInvalidArgument)
	}
	return token, nil
}

// target is what a headers provider is told about a table's streams.
func (k *SDK) target(table string) target {
	return target{
		Target: Target{Table: table, WorkspaceURL: k.workspaceURL, WorkspaceID: k.endpoint.WorkspaceID()},
		http:   k.http(),
		tokens: &k.tokens,
	}
}

// checkSchema compares the descriptor of a table of protobuf records with the table's columns, which are fetched if they are not
// known; those of a described table, which may have changed since, if there is a workspace to ask. What the server would
// refuse is an error; what it may refuse is logged.
func (k *SDK) checkSchema(ctx context.Context, op string, t TableProperties, auth Auth) error {
	if t.recordType() != RecordTypeProto {
		return nil // a JSON stream has no descriptor
	}
	columns := t.Columns
	if columns == nil || t.described != nil && k.workspaceURL != "" {
		var err error
		if columns, err = k.columns(ctx, op, t.Name, auth); err != nil {
			return err
		}
	}
	if err := columns.Validate(); err != nil {
		return invalid(op, t.Name, "the table's columns: %w", err)
	}
	var findings schema.Findings
	if t.message != nil {
		findings = schema.CheckMessage(t.message, columns)
	} else {
		findings = schema.Check(t.Descriptor, columns)
	}
	for _, f := range findings {
		if f.Effect == schema.Risky {
			k.log.Warn("the descriptor may not fit the table", "table", t.Name, "field", f.Path, "reason", f.Reason)
		}
	}
	if err := findings.Err(); err != nil {
		return newError(op, t.Name, ErrInvalidArgument, err)
	}
	return nil
}

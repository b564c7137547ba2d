package zerobus

import (
	"context"
	"errors"
	"fmt"
	"strings"

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
// after 30 s for each. The token of any other provider must be good for Unity Catalog's API. The principal needs SELECT or
// MODIFY on the table. A table that is not there is an [ErrTableNotFound], a refused principal an [ErrAuth], a column that
// protobuf cannot say an [ErrInvalidArgument]; the latter names the column and a way out. What may pass is retriable.
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
// Its streams take protobuf records that fit the descriptor. They also take JSON records ([JSON], [JSONString],
// [JSONBytes]), which are encoded as protobuf by the ingest call, without reflection: a JSON record must fit the table by
// the same rules as on a JSON stream, and one that does not is an [ErrInvalidArgument] at once, with the field's path; nothing
// of it is sent.
//
// A column that protobuf cannot say is an ErrInvalidArgument that names the column and a way out.
func DescribedTable(name string, columns *schema.Struct) (TableProperties, error) {
	const op = "make descriptor"
	t := TableProperties{Name: name, RecordType: RecordTypeProto, Columns: columns}
	if err := checkTableName(name); err != nil {
		return t, newError(op, name, ErrInvalidTableName, err)
	}
	if columns == nil {
		return t, invalid(op, name, "the columns are nil")
	}
	message := name[strings.LastIndexByte(name, '.')+1:]
	if c := message[0]; c >= '0' && c <= '9' {
		message = "_" + message
	}
	var err error
	if t.Descriptor, err = columns.Descriptor(message); err != nil {
		return t, newError(op, name, ErrInvalidArgument, err)
	}
	if t.encoder, err = schema.NewEncoder(columns); err != nil {
		return t, newError(op, name, ErrInvalidArgument, err)
	}
	return t, nil
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
	columns, err := unity.Fetch(ctx, unity.Config{
		Endpoint: k.workspaceURL,
		Token:    func(ctx context.Context) (string, error) { return k.catalogToken(ctx, table, auth) },
		Client:   k.http(),
	}, table)
	var answer *rest.Error
	switch {
	case err == nil:
		return columns, nil
	case errors.As(err, &answer) && answer.Status == 404:
		return nil, newError(op, table, ErrTableNotFound, recovery.Permanent(err))
	case answer != nil:
		err = tokenError(err)
	}
	return nil, newError(op, table, nil, err)
}

// catalogToken is a token for Unity Catalog's API. Tokens for streams are of no use there.
func (k *SDK) catalogToken(ctx context.Context, table string, auth Auth) (string, error) {
	if c, ok := auth.(ClientCredentials); ok {
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
// known. What the server would refuse is an error; what it may refuse is logged.
func (k *SDK) checkSchema(ctx context.Context, op string, t TableProperties, auth Auth) error {
	if t.recordType() != RecordTypeProto {
		return nil // a JSON stream has no descriptor
	}
	columns := t.Columns
	if columns == nil {
		var err error
		if columns, err = k.columns(ctx, op, t.Name, auth); err != nil {
			return err
		}
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

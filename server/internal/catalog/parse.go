package catalog

import (
	"errors"
	"strings"

	"github.com/zerobus-go/zerobus/internal/sqltext"
	"github.com/zerobus-go/zerobus/schema"
)

// understood is what the error about an unknown statement lists.
const understood = `CREATE CATALOG | SCHEMA | TABLE, ALTER TABLE, COMMENT ON TABLE, DROP CATALOG | SCHEMA | TABLE, GRANT, REVOKE, ` +
	`SHOW CATALOGS | SCHEMAS | TABLES | GRANTS | CREATE TABLE, DESCRIBE`

// Parse reads statements separated by semicolons; empty ones do not count. The text may have [sqltext.MaxLength] bytes. The
// error is [ErrInvalid] and holds a [sqltext.Error] with line and column in the whole script.
func Parse(script string) ([]Statement, error) {
	p := parser{Scanner: sqltext.NewScanner(script), script: script}
	var list []Statement
	for {
		for p.Accept(";") {
		}
		if p.Peek().Kind == sqltext.End {
			break
		}
		st, err := p.statement()
		if err == nil {
			err = p.Err()
		}
		if err != nil {
			return nil, &parseError{err}
		}
		list = append(list, st)
	}
	if err := p.Err(); err != nil {
		return nil, &parseError{err}
	}
	return list, nil
}

// parseError makes a fault in the text an ErrInvalid.
type parseError struct{ err error }

func (e *parseError) Error() string   { return e.err.Error() }
func (e *parseError) Unwrap() []error { return []error{ErrInvalid, e.err} }

// parser reads one statement after the other.
type parser struct {
	*sqltext.Scanner
	script string
	first  sqltext.Token // of the statement
}

func (p *parser) statement() (Statement, error) {
	p.first = p.Peek()
	switch t := p.Next(); {
	case t.Is("CREATE"):
		return p.create()
	case t.Is("ALTER"), t.Is("COMMENT"):
		return p.alter()
	case t.Is("DROP"):
		return p.drop()
	case t.Is("GRANT"):
		return p.grant(false)
	case t.Is("REVOKE"):
		return p.grant(true)
	case t.Is("SHOW"):
		return p.show()
	case t.Is("DESCRIBE"), t.Is("DESC"):
		return p.describe()
	default:
		return nil, sqltext.Errorf(t, "unknown statement %s; understood are %s", t, understood)
	}
}

// end takes the end of the statement, without the semicolon, and returns the statement's source.
func (p *parser) end() (Source, error) {
	t := p.Peek()
	if err := p.Err(); err != nil {
		return Source{}, err
	}
	if t.Kind != sqltext.End && !t.Is(";") {
		return Source{}, sqltext.Errorf(t, "unexpected %s; expected the end of the statement or ;", t)
	}
	return p.source(), nil
}

// source is the text from the first token of the statement to the last one taken.
func (p *parser) source() Source {
	return Source{p.script[p.first.Offset:p.Taken()], p.first.Pos}
}

// oneOf takes one of the given keywords and returns it as given.
func (p *parser) oneOf(words ...string) (string, error) {
	t := p.Next()
	for _, w := range words {
		if t.Is(w) {
			return w, nil
		}
	}
	if err := p.Err(); err != nil {
		return "", err
	}
	return "", sqltext.Errorf(t, "expected %s, got %s", strings.Join(words, ", "), t)
}

// name takes a name with dots; of any number of parts when objectType is empty.
func (p *parser) name(objectType string) (Name, error) {
	at := p.Peek()
	what := "a name"
	if objectType != "" {
		what = "the name of a " + strings.ToLower(objectType)
	}
	var parts []string
	for {
		part, err := p.Name(what)
		if err != nil {
			return Name{}, err
		}
		parts = append(parts, part)
		if len(parts) > 3 {
			return Name{}, sqltext.Errorf(at, "the name has more than three parts; expected catalog.schema.table")
		}
		if !p.Accept(".") {
			break
		}
	}
	n, err := nameOf(parts)
	if err == nil && objectType != "" {
		err = n.mustBe(objectType)
	}
	if err != nil {
		return Name{}, sqltext.Errorf(at, "%s", err)
	}
	return n, nil
}

// objectType maps keywords to types; DATABASE is Spark's other word for SCHEMA.
func objectType(word string) string {
	if word == "DATABASE" {
		return SchemaType
	}
	return word
}

func (p *parser) create() (Statement, error) {
	word, err := p.oneOf(CatalogType, SchemaType, TableType, "DATABASE")
	if err != nil {
		return nil, err
	}
	if word == TableType {
		return p.createTable()
	}
	st := &CreateNamespaceStmt{IfNotExists: p.Accept("IF", "NOT", "EXISTS")}
	if st.Name, err = p.name(objectType(word)); err != nil {
		return nil, err
	}
	if p.Accept("COMMENT") {
		t := p.Next()
		if err := p.Err(); err != nil {
			return nil, err
		}
		if t.Kind != sqltext.String {
			return nil, sqltext.Errorf(t, "expected a string in quotes, got %s", t)
		}
		st.Comment = t.Text
	}
	st.Source, err = p.end()
	return st, err
}

// rest takes the rest of the statement. The text is the statement's, for another parser.
func (p *parser) rest() (_ Source, text string) {
	for t := p.Peek(); t.Kind != sqltext.End && !t.Is(";"); t = p.Peek() {
		p.Next()
	}
	s := p.source()
	if p.Err() != nil {
		return s, p.script[p.first.Offset:] // the fault is found again, or one before it
	}
	return s, s.Text
}

// createTable cuts the statement out of the script, for the parser that knows types and clauses.
func (p *parser) createTable() (Statement, error) {
	source, text := p.rest()
	st := &CreateTableStmt{Source: source}
	var err error
	if st.Table, err = schema.ParseCreateTable(text); err != nil {
		return nil, rebase(err, st.Pos)
	}
	if st.Name, err = nameOf(st.Table.Name); err == nil {
		err = st.Name.mustBe(TableType)
	}
	if err != nil {
		return nil, sqltext.Errorf(p.first, "%s", err)
	}
	return st, nil
}

// rebase moves a fault in a statement's text to its place in the script.
func rebase(err error, start sqltext.Pos) error {
	var at *sqltext.Error
	if !errors.As(err, &at) {
		return &sqltext.Error{Pos: start, Msg: err.Error()}
	}
	pos := at.Pos
	if pos.Line == 1 {
		pos.Column += start.Column - 1
	}
	pos.Line += start.Line - 1
	return &sqltext.Error{Pos: pos, Msg: at.Msg}
}

func (p *parser) drop() (Statement, error) {
	word, err := p.oneOf(CatalogType, SchemaType, TableType, "DATABASE")
	if err != nil {
		return nil, err
	}
	st := &DropStmt{IfExists: p.Accept("IF", "EXISTS")}
	if st.Name, err = p.name(objectType(word)); err != nil {
		return nil, err
	}
	if word != TableType && p.Accept("CASCADE") {
		st.Cascade = true
	} else if word != TableType {
		p.Accept("RESTRICT")
	}
	st.Source, err = p.end()
	return st, err
}

func (p *parser) grant(revoke bool) (Statement, error) {
	st := &GrantStmt{Revoke: revoke}
	for {
		priv, err := p.privilege()
		if err != nil {
			return nil, err
		}
		st.Privileges = append(st.Privileges, priv)
		if !p.Accept(",") {
			break
		}
	}
	err := p.Expect("ON")
	if err == nil {
		at := p.Peek()
		if st.On, err = p.securable(); err == nil {
			if st.Privileges, err = checkGrantable(st.Privileges, st.On); err != nil {
				err = sqltext.Errorf(at, "%s", err)
			}
		}
	}
	if err == nil {
		err = p.Expect(map[bool]string{false: "TO", true: "FROM"}[revoke])
	}
	if err == nil {
		st.Principal, err = p.principal()
	}
	if err != nil {
		return nil, err
	}
	st.Source, err = p.end()
	return st, err
}

// privilege takes the words of a privilege, up to a comma or ON.
func (p *parser) privilege() (Privilege, error) {
	at := p.Peek()
	var words []string
	for t := at; t.Kind == sqltext.Word && !t.Is("ON") && len(words) < 4; t = p.Peek() {
		words = append(words, p.Next().Text)
	}
	if err := p.Err(); err != nil {
		return "", err
	}
	if len(words) == 0 {
		return "", sqltext.Errorf(at, "expected a privilege, got %s; known are %s", at, joinPrivileges(order))
	}
	priv, err := ParsePrivilege(strings.Join(words, " "))
	if err != nil {
		return "", sqltext.Errorf(at, "%s", err)
	}
	return priv, nil
}

// securable takes [CATALOG | SCHEMA | TABLE] name; a table's name needs no word in front.
func (p *parser) securable() (Name, error) {
	for _, word := range []string{CatalogType, SchemaType, TableType, "DATABASE"} {
		if p.Accept(word) {
			return p.name(objectType(word))
		}
	}
	return p.name(TableType)
}

// principal takes a client id or a name.
func (p *parser) principal() (string, error) {
	t := p.Next()
	if err := p.Err(); err != nil {
		return "", err
	}
	after := p.Peek()
	switch {
	case t.Kind != sqltext.String && !t.IsName() && t.Kind != sqltext.Number || t.Text == "":
		return "", sqltext.Errorf(t, "expected a principal's client id or name in backticks, got %s", t)
	case after.Is("-") || after.Is(".") || after.Is("@"), t.Kind == sqltext.Number:
		return "", sqltext.Errorf(t, "put the principal's client id or name in backticks: `…`")
	}
	return t.Text, p.Err()
}

func (p *parser) show() (Statement, error) {
	word, err := p.oneOf("CATALOGS", "SCHEMAS", "TABLES", "GRANTS", "CREATE", "DATABASES")
	if err != nil {
		return nil, err
	}
	switch word {
	case "CATALOGS":
		st := &ShowNamespacesStmt{}
		st.Source, err = p.end()
		return st, err
	case "SCHEMAS", "DATABASES":
		st := &ShowNamespacesStmt{Schemas: true}
		if p.Accept("IN") || p.Accept("FROM") {
			if st.In, err = p.name(CatalogType); err != nil {
				return nil, err
			}
		}
		st.Source, err = p.end()
		return st, err
	case "TABLES":
		return p.showTables()
	case "CREATE":
		st := &ShowCreateTableStmt{}
		if err := p.Expect("TABLE"); err != nil {
			return nil, err
		}
		if st.Name, err = p.name(TableType); err != nil {
			return nil, err
		}
		st.Source, err = p.end()
		return st, err
	}
	return p.showGrants()
}

func (p *parser) showTables() (_ Statement, err error) {
	st := &ShowTablesStmt{}
	if p.Accept("IN") || p.Accept("FROM") {
		at := p.Peek()
		if st.In, err = p.name(""); err != nil {
			return nil, err
		}
		if st.In.Table != "" {
			return nil, sqltext.Errorf(at, "%s is the name of a table; expected catalog or catalog.schema", st.In)
		}
	}
	st.Source, err = p.end()
	return st, err
}

func (p *parser) showGrants() (_ Statement, err error) {
	st := &ShowGrantsStmt{}
	p.Accept("TO")
	if t := p.Peek(); t.Kind != sqltext.End && !t.Is(";") && !t.Is("ON") {
		if st.Principal, err = p.principal(); err != nil {
			return nil, err
		}
	}
	if p.Accept("ON") {
		if st.On, err = p.securable(); err != nil {
			return nil, err
		}
	}
	st.Source, err = p.end()
	return st, err
}

func (p *parser) describe() (_ Statement, err error) {
	st := &DescribeStmt{}
	p.Accept("TABLE")
	st.Extended = p.Accept("EXTENDED")
	if st.Name, err = p.name(TableType); err != nil {
		return nil, err
	}
	st.Source, err = p.end()
	return st, err
}

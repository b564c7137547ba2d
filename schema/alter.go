package schema

import (
	"fmt"
	"slices"
	"strings"

	"github.com/zerobus-go/zerobus/internal/sqltext"
)

// AlterTable is a parsed ALTER TABLE or COMMENT ON TABLE statement. It has one of the changes.
type AlterTable struct {
	Name []string // one to three parts: [[catalog,] schema,] table

	// ADD COLUMNS: nullable columns, which come behind those that are there.
	Add []Field

	// ALTER COLUMN name COMMENT, or COMMENT ON TABLE with an empty Column. An empty Comment removes the one that is there.
	Column  string
	Comment *string

	// SET TBLPROPERTIES.
	Set map[string]string

	// UNSET TBLPROPERTIES. With IfExists a property that is not set is no error.
	Unset    []string
	IfExists bool
}

// ParseAlterTable parses one statement of these forms:
//
//	ALTER TABLE name ADD COLUMN[S] ( column type [COMMENT 'text'], … ) [;]
//	ALTER TABLE name ADD COLUMN column type [COMMENT 'text'] [;]
//	ALTER TABLE name ALTER [COLUMN] column COMMENT 'text' [;]
//	ALTER TABLE name SET TBLPROPERTIES ('key' = 'value', …) [;]
//	ALTER TABLE name UNSET TBLPROPERTIES [IF EXISTS] ('key', …) [;]
//	COMMENT ON TABLE name IS 'text' | NULL [;]
//
// New columns are nullable: rows that are there have no values for them. What else Spark knows (FIRST, AFTER, DROP COLUMN, RENAME,
// SET NOT NULL, columns inside of structs) is refused with its place.
func ParseAlterTable(sql string) (*AlterTable, error) {
	s := sqltext.NewScanner(sql)
	a := &AlterTable{}
	var err error
	if s.Accept("COMMENT") {
		err = a.parseComment(s)
	} else {
		err = a.parse(s)
	}
	if err != nil {
		return nil, err
	}
	s.Accept(";")
	return a, atEnd(s)
}

func (a *AlterTable) parse(s *sqltext.Scanner) (err error) {
	for _, word := range []string{"ALTER", "TABLE"} {
		if err := s.Expect(word); err != nil {
			return err
		}
	}
	if a.Name, err = parseTableName(s); err != nil {
		return err
	}
	switch t := s.Next(); {
	case s.Err() != nil:
		return s.Err()
	case t.Is("ADD"):
		return a.parseAdd(s)
	case t.Is("ALTER"), t.Is("CHANGE"):
		return a.parseColumn(s)
	case t.Is("SET"):
		var c CreateTable
		if err = s.Expect("TBLPROPERTIES"); err == nil {
			err = parseProperties(s, &c)
		}
		a.Set = c.Properties
		return err
	case t.Is("UNSET"):
		return a.parseUnset(s)
	default:
		return sqltext.Errorf(t, "expected ADD COLUMNS, ALTER COLUMN, SET TBLPROPERTIES or UNSET TBLPROPERTIES, got %s", t)
	}
}

func (a *AlterTable) parseAdd(s *sqltext.Scanner) (err error) {
	if !s.Accept("COLUMNS") && !s.Accept("COLUMN") {
		return sqltext.Errorf(s.Peek(), "expected COLUMN or COLUMNS, got %s", s.Peek())
	}
	at := s.Peek()
	if s.Accept("(") {
		a.Add, err = parseFields(s, ")", 0)
	} else {
		a.Add, err = parseLastField(s)
	}
	if err != nil {
		return err
	}
	for i := range a.Add {
		if f := &a.Add[i]; !f.Nullable {
			return sqltext.Errorf(at, "column %s is NOT NULL, but the rows that are there have no value for it", f.Name)
		}
	}
	return nil
}

// parseLastField takes one column up to the end of the statement.
func parseLastField(s *sqltext.Scanner) ([]Field, error) {
	name, err := s.Name("a column name")
	if err != nil {
		return nil, err
	}
	f := Field{Name: name, Nullable: true}
	if f.Type, err = parseType(s, 0); err != nil {
		return nil, err
	}
	if s.Accept("NOT", "NULL") {
		f.Nullable = false
	}
	if s.Accept("COMMENT") {
		if f.Comment, err = stringLiteral(s); err != nil {
			return nil, err
		}
	}
	return []Field{f}, s.Err()
}

func (a *AlterTable) parseColumn(s *sqltext.Scanner) (err error) {
	s.Accept("COLUMN")
	if a.Column, err = s.Name("a column name"); err != nil {
		return err
	}
	if t := s.Peek(); !t.Is("COMMENT") {
		return sqltext.Errorf(t, "expected COMMENT, got %s: nothing else of a column can be changed", t)
	}
	s.Next()
	text, err := stringLiteral(s)
	a.Comment = &text
	return err
}

func (a *AlterTable) parseUnset(s *sqltext.Scanner) error {
	if err := s.Expect("TBLPROPERTIES"); err != nil {
		return err
	}
	a.IfExists = s.Accept("IF", "EXISTS")
	if err := s.Expect("("); err != nil {
		return err
	}
	for {
		at := s.Peek()
		key, err := propertyKey(s)
		if err != nil {
			return err
		}
		if slices.Contains(a.Unset, key) {
			return sqltext.Errorf(at, "property %q is given twice", key)
		}
		a.Unset = append(a.Unset, key)
		if !s.Accept(",") {
			return s.Expect(")")
		}
	}
}

func (a *AlterTable) parseComment(s *sqltext.Scanner) (err error) {
	for _, word := range []string{"ON", "TABLE"} {
		if err := s.Expect(word); err != nil {
			return err
		}
	}
	if a.Name, err = parseTableName(s); err != nil {
		return err
	}
	if err := s.Expect("IS"); err != nil {
		return err
	}
	text := ""
	if !s.Accept("NULL") {
		text, err = stringLiteral(s)
	}
	a.Comment = &text
	return err
}

func parseTableName(s *sqltext.Scanner) (name []string, err error) {
	for {
		if len(name) == 3 {
			return nil, sqltext.Errorf(s.Peek(), "the table's name has more than three parts; expected catalog.schema.table")
		}
		part, err := s.Name("a table name")
		if err != nil {
			return nil, err
		}
		name = append(name, part)
		if !s.Accept(".") {
			return name, nil
		}
	}
}

// Columns gives the columns after the change of those before it, which stay as they are. The error names a column that is there
// already, that is not there, or that cannot be.
func (a *AlterTable) Columns(before *Struct) (*Struct, error) {
	after := &Struct{Fields: slices.Clone(before.Fields)}
	find := func(name string) int {
		return slices.IndexFunc(after.Fields, func(f Field) bool { return strings.EqualFold(f.Name, name) })
	}
	for _, f := range a.Add {
		if i := find(f.Name); i >= 0 {
			return nil, fmt.Errorf("there is a column %s already", after.Fields[i].Name)
		}
		after.Fields = append(after.Fields, f)
	}
	if a.Column != "" {
		i := find(a.Column)
		if i < 0 {
			return nil, fmt.Errorf("there is no column %s", a.Column)
		}
		after.Fields[i].Comment = *a.Comment
	}
	if before.Validate() != nil { // others, and column mapping, allow more names than are made here
		added := &Struct{Fields: a.Add}
		if len(a.Add) == 0 {
			return after, nil
		}
		return after, added.Validate()
	}
	return after, after.Validate()
}

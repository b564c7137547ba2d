package schema

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zerobus-go/zerobus/internal/sqltext"
)

// CreateTable is a parsed CREATE TABLE statement.
type CreateTable struct {
	Name        []string          // one to three parts: [[catalog,] schema,] table
	IfNotExists bool              // IF NOT EXISTS: a table that is there already is no error
	Columns     Struct            // in the order of the statement; none only with a Location, where a table is already
	PartitionBy []string          // names of columns, in the order of PARTITIONED BY
	Location    string            // LOCATION, as it was written; empty where the catalog chooses
	Comment     string            // of the table
	Properties  map[string]string // TBLPROPERTIES
}

// DDL is the statement that [ParseCreateTable] parses to the same CreateTable, a line for each column and clause.
func (c *CreateTable) DDL() string {
	var b strings.Builder
	b.WriteString("CREATE TABLE ")
	if c.IfNotExists {
		b.WriteString("IF NOT EXISTS ")
	}
	b.WriteString(joinNames(c.Name, "."))
	if len(c.Columns.Fields) > 0 || c.Location == "" {
		b.WriteString(" (")
		for i, f := range c.Columns.Fields {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString("\n  " + f.DDL())
		}
		b.WriteString("\n)")
	}
	b.WriteString("\nUSING DELTA")
	if len(c.PartitionBy) > 0 {
		b.WriteString("\nPARTITIONED BY (" + joinNames(c.PartitionBy, ", ") + ")")
	}
	if c.Location != "" {
		b.WriteString("\nLOCATION '" + quoteText(c.Location) + "'")
	}
	if c.Comment != "" {
		b.WriteString("\nCOMMENT '" + quoteText(c.Comment) + "'")
	}
	if len(c.Properties) > 0 {
		b.WriteString("\nTBLPROPERTIES (")
		for i, key := range slices.Sorted(maps.Keys(c.Properties)) {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "\n  '%s' = '%s'", quoteText(key), quoteText(c.Properties[key]))
		}
		b.WriteString("\n)")
	}
	return b.String()
}

func joinNames(names []string, sep string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = quoteName(n)
	}
	return strings.Join(quoted, sep)
}

// ParseCreateTable parses one statement of the form
//
//	CREATE TABLE [IF NOT EXISTS] name [( column type [NOT NULL] [COMMENT 'text'], … )]
//	  [USING DELTA] [PARTITIONED BY (column, …)] [LOCATION 'place'] [COMMENT 'text'] [TBLPROPERTIES ('key' = 'value', …)] [;]
//
// Only a statement with a LOCATION may have no columns: those of the table that is there. What else Spark knows (GENERATED,
// CLUSTER BY, AS SELECT) is refused with its place. The error is a description with line and column, or with the name of the
// column that cannot be.
func ParseCreateTable(sql string) (*CreateTable, error) {
	s := sqltext.NewScanner(sql)
	for _, word := range []string{"CREATE", "TABLE"} {
		if err := s.Expect(word); err != nil {
			return nil, err
		}
	}
	c := &CreateTable{}
	c.IfNotExists = s.Accept("IF", "NOT", "EXISTS")
	if err := s.Err(); err != nil {
		return nil, err
	}
	var err error
	if c.Name, err = parseTableName(s); err != nil {
		return nil, err
	}
	at := s.Peek()
	bare := isTableClause(at)
	if !bare {
		if err := s.Expect("("); err != nil {
			return nil, err
		}
		if c.Columns.Fields, err = parseFields(s, ")", 0); err != nil {
			return nil, err
		}
	}
	if err := parseTableClauses(s, c); err != nil {
		return nil, err
	}
	s.Accept(";")
	if err := atEnd(s); err != nil {
		return nil, err
	}
	if bare {
		if c.Location == "" {
			return nil, sqltext.Errorf(at, "expected (, got %s: only a table with a LOCATION has its columns from there", at)
		}
		return c, nil
	}
	if err := c.Columns.Validate(); err != nil {
		return nil, err
	}
	if err := c.Columns.ValidatePartitionBy(c.PartitionBy); err != nil {
		return nil, err
	}
	return c, nil
}

// isTableClause reports whether a clause of the table begins with the token.
func isTableClause(t sqltext.Token) bool {
	return slices.ContainsFunc([]string{"USING", "PARTITIONED", "LOCATION", "COMMENT", "TBLPROPERTIES"}, t.Is)
}

// parseTableClauses reads what follows the columns, each clause at most once and in any order.
func parseTableClauses(s *sqltext.Scanner, c *CreateTable) error {
	seen := map[string]bool{}
	for {
		t := s.Peek()
		clause := strings.ToUpper(t.Text)
		var parse func(*sqltext.Scanner, *CreateTable) error
		switch {
		case t.Kind == sqltext.End || t.Is(";"):
			return s.Err()
		case t.Is("USING"):
			parse = parseFormat
		case t.Is("PARTITIONED"):
			parse = parsePartitionBy
		case t.Is("LOCATION"):
			parse = parseLocation
		case t.Is("COMMENT"):
			parse = parseComment
		case t.Is("TBLPROPERTIES"):
			parse = parseProperties
		default:
			return sqltext.Errorf(t, "unexpected %s; after the columns may follow USING DELTA, PARTITIONED BY, LOCATION, COMMENT and TBLPROPERTIES", t)
		}
		if seen[clause] {
			return sqltext.Errorf(t, "%s is given twice", clause)
		}
		seen[clause] = true
		s.Next()
		if err := parse(s, c); err != nil {
			return err
		}
	}
}

func parseFormat(s *sqltext.Scanner, _ *CreateTable) error {
	t := s.Next()
	if err := s.Err(); err != nil {
		return err
	}
	if !t.Is("DELTA") {
		return sqltext.Errorf(t, "the only table format is DELTA, got %s", t)
	}
	return nil
}

func parsePartitionBy(s *sqltext.Scanner, c *CreateTable) error {
	if len(c.Columns.Fields) == 0 {
		return sqltext.Errorf(s.Peek(), "PARTITIONED BY needs the columns in front of it; without them the table at the LOCATION says by itself what it is partitioned by")
	}
	for _, word := range []string{"BY", "("} {
		if err := s.Expect(word); err != nil {
			return err
		}
	}
	for {
		t := s.Peek()
		name, err := s.Name("a partition column")
		if err != nil {
			return err
		}
		i := slices.IndexFunc(c.Columns.Fields, func(f Field) bool { return strings.EqualFold(f.Name, name) })
		if i < 0 {
			return sqltext.Errorf(t, "partition column %s is not a column of the table", t)
		}
		name = c.Columns.Fields[i].Name // as the column has it
		if slices.Contains(c.PartitionBy, name) {
			return sqltext.Errorf(t, "partition column %s is given twice", t)
		}
		c.PartitionBy = append(c.PartitionBy, name)
		if !s.Accept(",") {
			return s.Expect(")")
		}
	}
}

func parseLocation(s *sqltext.Scanner, c *CreateTable) (err error) {
	t := s.Peek()
	if c.Location, err = stringLiteral(s); err == nil && c.Location == "" {
		err = sqltext.Errorf(t, "the location is empty")
	}
	return err
}

func parseComment(s *sqltext.Scanner, c *CreateTable) (err error) {
	c.Comment, err = stringLiteral(s)
	return err
}

func parseProperties(s *sqltext.Scanner, c *CreateTable) error {
	if err := s.Expect("("); err != nil {
		return err
	}
	c.Properties = map[string]string{}
	for {
		at := s.Peek()
		key, err := propertyKey(s)
		if err != nil {
			return err
		}
		if _, again := c.Properties[key]; again {
			return sqltext.Errorf(at, "property %q is given twice", key)
		}
		s.Accept("=")
		t := s.Next()
		if err := s.Err(); err != nil {
			return err
		}
		if t.Kind != sqltext.String && t.Kind != sqltext.Number && t.Kind != sqltext.Word {
			return sqltext.Errorf(t, "expected a value for property %q, got %s", key, t)
		}
		c.Properties[key] = t.Text
		if !s.Accept(",") {
			return s.Expect(")")
		}
	}
}

// propertyKey is a string or names with dots: 'delta.appendOnly' or delta.appendOnly.
func propertyKey(s *sqltext.Scanner) (string, error) {
	if s.Peek().Kind == sqltext.String {
		return s.Next().Text, s.Err()
	}
	key, err := s.Name("a property name")
	for err == nil && s.Accept(".") {
		var part string
		part, err = s.Name("a property name")
		key += "." + part
	}
	return key, err
}

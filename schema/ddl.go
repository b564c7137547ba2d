package schema

import (
	"strconv"
	"strings"

	"github.com/zerobus-go/zerobus/internal/sqltext"
)

// ParseType parses a type as DDL or type_text writes it, in any case: BIGINT, decimal(10,2), array<struct<a:int>>.
// The error is a description with line and column.
func ParseType(text string) (Type, error) {
	s := sqltext.NewScanner(text)
	t, err := parseType(s, 0)
	if err == nil {
		err = atEnd(s)
	}
	if err != nil {
		return Type{}, err
	}
	return t, nil
}

func stringLiteral(s *sqltext.Scanner) (string, error) {
	t := s.Next()
	if err := s.Err(); err != nil {
		return "", err
	}
	if t.Kind != sqltext.String {
		return "", sqltext.Errorf(t, "expected a string in quotes, got %s", t)
	}
	return t.Text, nil
}

func atEnd(s *sqltext.Scanner) error {
	t := s.Next()
	if err := s.Err(); err != nil {
		return err
	}
	if t.Kind != sqltext.End {
		return sqltext.Errorf(t, "unexpected %s", t)
	}
	return nil
}

// parseFields reads name [:] type [NOT NULL] [COMMENT 'text'], … up to and with the closing symbol.
func parseFields(s *sqltext.Scanner, end string, depth int) ([]Field, error) {
	var fields []Field
	for {
		name, err := s.Name("a column name")
		if err != nil {
			return nil, err
		}
		s.Accept(":")
		f := Field{Name: name, Nullable: true}
		if f.Type, err = parseType(s, depth); err != nil {
			return nil, err
		}
		for more := true; more; {
			switch {
			case s.Accept("NOT", "NULL"):
				f.Nullable = false
			case s.Accept("COMMENT"):
				if f.Comment, err = stringLiteral(s); err != nil {
					return nil, err
				}
			default:
				more = false
			}
		}
		if err := s.Err(); err != nil {
			return nil, err
		}
		fields = append(fields, f)
		switch t := s.Next(); {
		case t.Is(","):
		case t.Is(end):
			return fields, nil
		case s.Err() != nil:
			return nil, s.Err()
		default:
			return nil, sqltext.Errorf(t, "expected , or %s after column %s, got %s", end, name, t)
		}
	}
}

// kinds are the words for types without parameters, those of DDL, type_text and Delta's JSON alike.
var kinds = map[string]Kind{
	"boolean": Boolean, "tinyint": Byte, "byte": Byte, "smallint": Short, "short": Short, "int": Integer, "integer": Integer,
	"bigint": Long, "long": Long, "float": Float, "real": Float, "double": Double, "string": String, "binary": Binary,
	"date": Date, "timestamp": Timestamp, "timestamp_ltz": Timestamp, "timestamp_ntz": TimestampNTZ, "variant": Variant,
}

func parseType(s *sqltext.Scanner, depth int) (Type, error) {
	t := s.Next()
	if err := s.Err(); err != nil {
		return Type{}, err
	}
	if depth > MaxDepth {
		return Type{}, sqltext.Errorf(t, "types are nested more than %d levels deep", MaxDepth)
	}
	if t.Kind != sqltext.Word {
		return Type{}, sqltext.Errorf(t, "expected a type, got %s", t)
	}
	word := strings.ToLower(t.Text)
	if k, ok := kinds[word]; ok {
		return Type{Kind: k}, nil
	}
	switch word {
	case "decimal", "dec", "numeric":
		return parseDecimal(s, t)
	case "varchar", "char", "character":
		return parseText(s, word != "varchar")
	case "array":
		if err := s.Expect("<"); err != nil {
			return Type{}, err
		}
		elem, err := parseType(s, depth+1)
		if err != nil {
			return Type{}, err
		}
		return Type{Kind: Array, Elem: &elem, ElemNullable: true}, s.Expect(">")
	case "map":
		if err := s.Expect("<"); err != nil {
			return Type{}, err
		}
		key, err := parseType(s, depth+1)
		if err != nil {
			return Type{}, err
		}
		if err := s.Expect(","); err != nil {
			return Type{}, err
		}
		elem, err := parseType(s, depth+1)
		if err != nil {
			return Type{}, err
		}
		return Type{Kind: Map, Key: &key, Elem: &elem, ElemNullable: true}, s.Expect(">")
	case "struct":
		if err := s.Expect("<"); err != nil {
			return Type{}, err
		}
		if s.Accept(">") {
			return Type{Kind: StructKind}, nil // Spark writes it so; no table can have it
		}
		fields, err := parseFields(s, ">", depth+1)
		return Type{Kind: StructKind, Fields: fields}, err
	}
	return Type{}, sqltext.Errorf(t, "unknown type %s", t.Text)
}

// parseDecimal reads [(precision [, scale])]; DECIMAL alone is DECIMAL(10,0) as in Spark.
func parseDecimal(s *sqltext.Scanner, at sqltext.Token) (Type, error) {
	t := Type{Kind: Decimal, Precision: 10}
	if !s.Accept("(") {
		return t, nil
	}
	var err error
	if t.Precision, err = number(s, 1, MaxDecimalPrecision, "the precision"); err != nil {
		return t, err
	}
	if s.Accept(",") {
		if t.Scale, err = number(s, 0, MaxDecimalPrecision, "the scale"); err != nil {
			return t, err
		}
	}
	if t.Scale > t.Precision {
		return t, sqltext.Errorf(at, "decimal scale %d is larger than its precision %d", t.Scale, t.Precision)
	}
	return t, s.Expect(")")
}

func parseText(s *sqltext.Scanner, fixed bool) (Type, error) {
	t := Type{Kind: String, Fixed: fixed}
	if err := s.Expect("("); err != nil {
		return t, err
	}
	var err error
	if t.Length, err = number(s, 1, 1<<30, "the length"); err != nil {
		return t, err
	}
	return t, s.Expect(")")
}

func number(s *sqltext.Scanner, min, max int, what string) (int, error) {
	t := s.Next()
	if err := s.Err(); err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(t.Text)
	if t.Kind != sqltext.Number || err != nil || n < min || n > max {
		return 0, sqltext.Errorf(t, "expected %s, a number from %d to %d, got %s", what, min, max, t)
	}
	return n, nil
}

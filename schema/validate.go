package schema

import (
	"fmt"
	"strings"
)

// Validate checks what a table must be: 1 to 2,000 columns, plain names that differ in more than case, at every level, and
// types that are whole.
func (s *Struct) Validate() error {
	if len(s.Fields) == 0 {
		return fmt.Errorf("a table needs at least one column")
	}
	if len(s.Fields) > MaxColumns {
		return fmt.Errorf("the table has %d columns, more than the limit of %d", len(s.Fields), MaxColumns)
	}
	return validateFields(s.Fields, "", 0)
}

func validateFields(fields []Field, path string, depth int) error {
	seen := make(map[string]string, len(fields))
	for i := range fields {
		f := &fields[i]
		at := path + f.Name
		if f.Name == "" || strings.ContainsAny(f.Name, " ,;{}()\n\t=") {
			return fmt.Errorf("column name %q: empty names and names with space , ; { } ( ) newline tab = are not allowed", at)
		}
		low := strings.ToLower(f.Name)
		if other, dup := seen[low]; dup {
			return fmt.Errorf("column %s: the names %s and %s differ only in case or not at all", at, other, f.Name)
		}
		seen[low] = f.Name
		if err := f.Type.validate(at, depth); err != nil {
			return err
		}
	}
	return nil
}

func (t *Type) validate(at string, depth int) error {
	if depth > MaxDepth {
		return fmt.Errorf("column %s: types are nested more than %d levels deep", at, MaxDepth)
	}
	switch t.Kind {
	case Invalid:
		return fmt.Errorf("column %s has no type", at)
	case String:
		if t.Length < 0 {
			return fmt.Errorf("column %s: a text of at most %d characters is out of range", at, t.Length)
		}
	case Decimal:
		if t.Precision < 1 || t.Precision > MaxDecimalPrecision || t.Scale < 0 || t.Scale > t.Precision {
			return fmt.Errorf("column %s: decimal(%d,%d) is out of range", at, t.Precision, t.Scale)
		}
	case StructKind:
		if len(t.Fields) == 0 {
			return fmt.Errorf("column %s: a struct needs at least one field", at)
		}
		return validateFields(t.Fields, at+".", depth+1)
	case Map:
		if t.Key == nil || t.Elem == nil {
			return fmt.Errorf("column %s: the map has no key or value type", at)
		}
		if err := t.Key.validate(at+".key", depth+1); err != nil {
			return err
		}
		return t.Elem.validate(at+".value", depth+1)
	case Array:
		if t.Elem == nil {
			return fmt.Errorf("column %s: the array has no element type", at)
		}
		return t.Elem.validate(at+".element", depth+1)
	default:
		if int(t.Kind) >= len(names) {
			return fmt.Errorf("column %s: there is no type %d", at, t.Kind)
		}
	}
	return nil
}

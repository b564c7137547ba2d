package delta

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

func TestProtocol_With(t *testing.T) {
	for _, c := range []struct{ before, after Protocol }{
		{Protocol{1, 1, nil, nil}, Protocol{3, 7, []string{"x"}, []string{"x"}}},
		{Protocol{1, 2, nil, nil}, Protocol{3, 7, []string{"x"}, []string{"appendOnly", "invariants", "x"}}},
		{Protocol{2, 6, nil, nil}, Protocol{3, 7, []string{"columnMapping", "x"}, []string{
			"appendOnly", "invariants", "checkConstraints", "changeDataFeed", "generatedColumns", "columnMapping", "identityColumns", "x",
		}}},
		{Protocol{1, 7, nil, []string{"appendOnly"}}, Protocol{3, 7, []string{"x"}, []string{"appendOnly", "x"}}},
		{Protocol{2, 7, nil, []string{"appendOnly"}}, Protocol{3, 7, []string{"columnMapping", "x"}, []string{"appendOnly", "columnMapping", "x"}}},
		{Protocol{3, 7, []string{"a"}, []string{"a", "b"}}, Protocol{3, 7, []string{"a", "x"}, []string{"a", "b", "x"}}},
		{Protocol{3, 7, []string{"x"}, []string{"x"}}, Protocol{3, 7, []string{"x"}, []string{"x"}}},
	} {
		if got := c.before.With("x"); !reflect.DeepEqual(got, c.after) {
			t.Errorf("%+v\ngot  %+v\nwant %+v", c.before, got, c.after)
		}
	}
}

// Alter stands on the latest version, whoever made it, and asks again after a lost race.
func TestAlter(t *testing.T) {
	ctx := t.Context()
	store := lake.NewMemory()
	mine := newTestTable(t, store)
	other := openTestTable(t, store)
	comment := func(text string) func(*Snapshot) (*Change, error) {
		return func(s *Snapshot) (*Change, error) {
			if s.Metadata.Description == text {
				return nil, nil
			}
			m := s.Metadata
			m.Description = text
			return &Change{Metadata: m, Operation: "SET TBLPROPERTIES", Parameters: map[string]string{"properties": "{}"}}, nil
		}
	}
	if v, err := other.Alter(ctx, comment("one")); v != 1 || err != nil {
		t.Fatal(v, err)
	}
	if v, err := mine.Alter(ctx, comment("two")); v != 2 || err != nil {
		t.Fatal(v, err)
	}
	if v, err := other.Alter(ctx, comment("two")); v != 2 || err != nil {
		t.Fatal("the same again:", v, err)
	}
	raced := false
	v, err := mine.Alter(ctx, func(s *Snapshot) (*Change, error) {
		if !raced {
			raced = true
			if _, err := other.Alter(ctx, comment("three")); err != nil {
				t.Fatal(err)
			}
		}
		p := s.Protocol.With("timestampNtz")
		m := s.Metadata
		m.ID, m.CreatedTime = "another", 7
		return &Change{Metadata: m, Protocol: &p, Operation: "ADD COLUMNS"}, nil
	})
	if s := mine.Snapshot(); v != 4 || err != nil || s.Metadata.Description != "three" || s.Protocol.MinWriterVersion != 7 ||
		s.Metadata.ID != other.Snapshot().Metadata.ID || s.Metadata.CreatedTime != other.Snapshot().Metadata.CreatedTime {
		t.Errorf("version %d, %v, %+v", v, err, mine.Snapshot().Metadata)
	}
	if h, err := mine.History(ctx, 1); err != nil || h[0].Operation != "ADD COLUMNS" {
		t.Errorf("%+v, %v", h, err)
	}
	if problems, err := Lint(ctx, store, LintOptions{}); len(problems) > 0 || err != nil {
		t.Error(problems, err)
	}

	no := errors.New("no")
	if _, err := mine.Alter(ctx, func(*Snapshot) (*Change, error) { return nil, no }); !errors.Is(err, no) {
		t.Error(err)
	}
	if _, err := mine.Alter(ctx, func(s *Snapshot) (*Change, error) {
		p := s.Protocol.With("variantShredding-of-tomorrow")
		return &Change{Metadata: s.Metadata, Protocol: &p}, nil
	}); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
	if _, err := mine.Alter(ctx, func(s *Snapshot) (*Change, error) {
		m := s.Metadata
		m.SchemaString = `{"type":"struct","fields":[]}`
		return &Change{Metadata: m}, nil
	}); err == nil || !strings.Contains(err.Error(), "no columns") {
		t.Error(err)
	}
	if v := mine.Snapshot().Version; v != 4 {
		t.Errorf("what was refused made version %d", v)
	}
}

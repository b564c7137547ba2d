package delta

import (
	"context"
	"fmt"
	"reflect"
)

// Change is what an [Table.Alter] makes of a table's metadata.
type Change struct {
	Metadata  Metadata  // ID and CreatedTime stay what they were
	Protocol  *Protocol // nil: the one that is there
	Operation string    // as Spark calls it: ADD COLUMNS, SET TBLPROPERTIES, …

	// Parameters are those of the operation in the history: values as JSON text.
	Parameters map[string]string
}

// Alter commits a change of the table's metadata and returns the version. change gets the latest state, and is asked again when
// another writer was faster; it returns nil when there is nothing to do, and then the version is that of the state. It must not
// change what it gets. An error of change is returned as it is. Errors otherwise are those of [Table.Append].
func (t *Table) Alter(ctx context.Context, change func(*Snapshot) (*Change, error)) (version int64, err error) {
	if err := t.take(ctx); err != nil {
		return 0, err
	}
	defer t.give()
	if err := t.verifyTail(ctx); err != nil {
		return 0, err
	}
	if err := t.forward(ctx); err != nil {
		return 0, err
	}
	for attempt := 1; ; attempt++ {
		s := t.Snapshot()
		if err := CheckWritable(s); err != nil {
			return 0, t.wrap(err)
		}
		ch, err := change(s)
		if err != nil {
			return 0, err
		}
		if ch == nil {
			return s.Version, nil
		}
		version = s.Version + 1
		body, c, err := t.alteration(ctx, s, ch)
		if err != nil {
			return 0, t.wrap(fmt.Errorf("alter: %w", err))
		}
		won, err := t.write(ctx, version, body)
		if err != nil {
			return 0, t.wrap(fmt.Errorf("alter: %w", err))
		}
		if won {
			t.advance(c, body)
			t.publish()
			return version, nil
		}
		if err := t.pause(ctx, attempt); err != nil {
			return 0, t.wrap(fmt.Errorf("alter: version %d was taken by another writer: %w", version, err))
		}
		if err := t.forward(ctx); err != nil {
			return 0, err
		}
	}
}

// alteration makes the commit of a change.
func (t *Table) alteration(ctx context.Context, s *Snapshot, ch *Change) ([]byte, *commit, error) {
	m := ch.Metadata
	m.ID, m.CreatedTime = s.Metadata.ID, s.Metadata.CreatedTime
	c := &commit{metadata: &m, protocol: ch.Protocol}
	after := s.following(c)
	if p := after.Protocol.suiting(&s.Metadata, &m); !reflect.DeepEqual(p, after.Protocol) {
		c.protocol = &p
	}
	if err := checkColumns(&m); err != nil {
		return nil, nil, err
	}
	body, err := t.body(ctx, CommitInfo{
		Operation:           ch.Operation,
		OperationParameters: ch.Parameters,
		IsBlindAppend:       new(false),
	}, c)
	if err != nil {
		return nil, nil, err
	}
	// What we would not write to afterwards is not made.
	if err := CheckWritable(s.following(c)); err != nil {
		return nil, nil, err
	}
	return body, c, nil
}

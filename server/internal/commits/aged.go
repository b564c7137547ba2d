package main

import (
	"context"
	"iter"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/zerobus-go/zerobus/server/internal/lake"
)

// calendar is the table's clock: it stands still within a commit, and goes on by a part of a day with each.
type calendar struct {
	begin time.Time
	step  time.Duration // between commits
	made  atomic.Int64  // commits
}

func newCalendar(commits, perDay int) *calendar {
	step := day / time.Duration(perDay)
	// It ends today: times in the future would be no times of versions.
	return &calendar{begin: time.Now().Add(-time.Duration(commits) * step), step: step}
}

func (c *calendar) now() time.Time { return c.at(c.made.Load()) }

func (c *calendar) at(version int64) time.Time { return c.begin.Add(time.Duration(version) * c.step) }

// aged is a lake whose lists give versions the times of a calendar.
type aged struct {
	lake.Store
	calendar *calendar
	late     map[string]int64 // by location: commits of the calendar before the table was made
	before   int64            // that of this table
}

func (a aged) Sub(prefix string) lake.Store {
	return aged{a.Store.Sub(prefix), a.calendar, a.late, a.late[prefix]}
}

func (a aged) List(ctx context.Context, prefix, startAfter string) iter.Seq2[lake.Info, error] {
	return func(yield func(lake.Info, error) bool) {
		for info, err := range a.Store.List(ctx, prefix, startAfter) {
			digits, isVersion := strings.CutSuffix(path.Base(info.Path), ".json")
			if v, err := strconv.ParseInt(digits, 10, 64); isVersion && err == nil {
				info.ModTime = a.calendar.at(a.before + v)
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

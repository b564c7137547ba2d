package main

import (
	"cmp"

	"github.com/zerobus-go/zerobus/bench/internal/report"
)

// stat is a figure over rounds, or over a time.
type stat = report.Stat

func statOf[T any](all []T, of func(T) float64) stat { return report.StatOf(all, of) }

func count[T int | int64 | float64](n T) string { return report.Count(n) }

func distinct[T any, V cmp.Ordered](all []T, of func(T) V) []V { return report.Distinct(all, of) }

// How figures are written, see package report.
var (
	times       = report.Times
	percent     = report.Percent
	threeDigits = report.ThreeDigits
	span        = report.Span
	size        = report.Size
	plural      = report.Plural
	table       = report.Table
	duration    = report.Duration
)

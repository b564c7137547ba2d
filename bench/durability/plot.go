package main

import "github.com/zerobus-go/zerobus/bench/internal/report"

// What figures are made of, see package report.
type (
	figure = report.Figure
	panel  = report.Panel
	series = report.Series
	look   = report.Look
)

var (
	lookA     = report.LookA
	lookB     = report.LookB
	lookLimit = report.LookLimit
)

// Package report is what the pages of the benchmarks are made of: figures over rounds with their units, tables in Markdown, plots as
// SVG, and what a reader must know of the machine. The same figures give the same bytes, on every machine.
//
// Concurrency: values are plain data, functions share nothing. Failure: only drawing can fail, for lack of a font.
package report

// Package protooracle has tests only: they hold what package schema prints and parses against protocompile, which we did not write.
package protooracle

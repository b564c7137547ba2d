package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
)

// belongs are the files that a server's directory may have, with slashes. Directories are those of these files.
var belongs = []*regexp.Regexp{
	regexp.MustCompile(`^data/(ledger\.db|catalog\.db|token-keys\.json|admin\.token|server\.json|lock)$`),
	regexp.MustCompile(`^data/tls/[a-z-]+\.(pem|crt|key)$`),
	regexp.MustCompile(`^data/wal/[a-zA-Z0-9._-]+$`),
	regexp.MustCompile(`^data/tables/[a-z0-9_]+/[a-z0-9_]+/[a-z0-9_]+(-[0-9a-f]{8})?/(_delta_log/[0-9]{20}\.json|[A-Za-z0-9_-]+(\.[a-z0-9]+)*\.parquet)$`),
}

// passing is what is there for a moment while a file is made.
var passing = regexp.MustCompile(`(^|/)\.[^/]+$|\.tmp(-[^/]*)?$`)

// strays are the files below a server's directory that do not belong there.
func strays(dir string) (found []string, err error) {
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // it was removed meanwhile
			return nil
		case err != nil:
			return err
		case d.IsDir():
			return nil
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if !d.Type().IsRegular() {
			found = append(found, fmt.Sprintf("%s (%v)", rel, d.Type()))
			return nil
		}
		if !passing.MatchString(rel) && !slices.ContainsFunc(belongs, func(r *regexp.Regexp) bool { return r.MatchString(rel) }) {
			found = append(found, rel)
		}
		return nil
	})
	return found, err
}

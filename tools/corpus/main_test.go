package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCorpus_WhatIsSavedIsLoaded(t *testing.T) {
	root, cache, dir, again := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	t.Chdir(root)
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("a/b/x_test.go", "package b\n\nfunc FuzzX(f *testing.F) {\n")
	write("x_test.go", "package x\n\nfunc FuzzRoot(f *testing.F) {\n")
	write(".hidden/x_test.go", "func FuzzHidden(f *testing.F) {\n")
	inputs := map[string]string{
		"a/b/FuzzX/91e0f0bfa4f4bb31": header + "[]byte(\"1\")\nint(2)\n",
		"a/b/FuzzX/0000":             header + "[]byte(\"go test fuzz v1\\n\")\n",
		"FuzzRoot/1":                 header + "string(\"\")\n",
	}
	for name, text := range inputs {
		write(filepath.Join(cache, name), text)
	}
	write(filepath.Join(cache, "gone/FuzzY/1"), header+"int(1)\n")
	write(filepath.Join(cache, "FuzzRoot/large"), header+string(make([]byte, maxInput)))
	if n, err := save(cache, dir); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := load(dir, again); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	found := map[string]int{}
	for _, pattern := range []string{"a/b/FuzzX/*", "FuzzRoot/*"} {
		files, err := filepath.Glob(filepath.Join(again, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			found[string(b)]++
		}
	}
	for name, text := range inputs {
		if found[text] != 1 {
			t.Errorf("%s: %d inputs of %q", name, found[text], text)
		}
	}
	if len(found) != len(inputs) {
		t.Errorf("found %v", found)
	}
	write(filepath.Join(dir, "old.FuzzZ.txt"), header+"int(1)\n")
	if _, err := load(dir, again); err == nil {
		t.Error("inputs of a target that is gone were loaded")
	}
}

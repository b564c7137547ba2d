package report

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// FileSystem is the type of the file system that a directory is on; empty if that cannot be told.
func FileSystem(dir string) (kind string) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return ""
	}
	longest := -1
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) < 3 || len(f[1]) < longest {
			continue
		}
		if at := f[1]; at == "/" || dir == at || strings.HasPrefix(dir, at+"/") {
			kind, longest = f[2], len(at)
		}
	}
	return kind
}

// Machine says what a measurement ran on, whose data was in a directory.
func Machine(dir string) string {
	model := "unknown processor"
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	memory := ""
	if info, err := os.ReadFile("/proc/meminfo"); err == nil {
		if f := strings.Fields(string(info)); len(f) > 1 && f[0] == "MemTotal:" {
			if kib, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				memory = fmt.Sprintf(", %.0f GiB", float64(kib)/(1<<20))
			}
		}
	}
	return fmt.Sprintf("%d CPUs (%s, %s/%s)%s, %s, %s", runtime.NumCPU(), model, runtime.GOOS, runtime.GOARCH, memory, FileSystem(dir), runtime.Version())
}

package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// process is what /proc says of a process.
type process struct {
	RSS     int64 // bytes resident
	Anon    int64 // bytes of these that no file backs: heap and stacks
	Peak    int64 // highest RSS so far
	Threads int
	Files   int           // open file descriptors
	CPU     time.Duration // user and system mode, of all threads
}

// clockTick is the unit of times in /proc/PID/stat: USER_HZ, which is 100 on every architecture that Go runs on.
const clockTick = 10 * time.Millisecond

// readProcess looks at a process.
func readProcess(pid int) (p process, err error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return p, err
	}
	values := map[string]int64{}
	for line := range strings.Lines(string(status)) {
		name, rest, _ := strings.Cut(line, ":")
		if f := strings.Fields(rest); len(f) > 0 {
			if n, err := strconv.ParseInt(f[0], 10, 64); err == nil {
				values[name] = n
			}
		}
	}
	p.RSS, p.Anon, p.Peak = values["VmRSS"]<<10, values["RssAnon"]<<10, values["VmHWM"]<<10
	p.Threads = int(values["Threads"])
	files, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		return p, err
	}
	p.Files = len(files)
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return p, err
	}
	p.CPU, err = parseCPU(string(stat))
	return p, err
}

// parseCPU adds utime and stime, fields 14 and 15. The second field is a name in brackets, which may hold anything.
func parseCPU(stat string) (time.Duration, error) {
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(f) < 13 {
		return 0, fmt.Errorf("/proc/PID/stat is %q", stat)
	}
	var ticks int64
	for _, text := range f[11:13] {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/PID/stat: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// fileSystem is the type of the file system that a directory is on; empty if that cannot be told.
func fileSystem(dir string) (kind string) {
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

// describeMachine says what a reader must know to repeat a measurement.
func describeMachine(p *place) string {
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
	return fmt.Sprintf("%d CPUs (%s, %s/%s)%s, %s, %s; client and server share them", runtime.NumCPU(), model, runtime.GOOS, runtime.GOARCH, memory, p.fs, runtime.Version())
}

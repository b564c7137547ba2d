package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/zerobus-go/zerobus/bench/internal/report"
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
func fileSystem(dir string) string { return report.FileSystem(dir) }

// describeMachine says what a reader must know to repeat a measurement of client and server.
func describeMachine(p *place) string { return machine(p) + "; client and server share them" }

// machine says what the measurement ran on.
func machine(p *place) string { return report.Machine(p.dir) }

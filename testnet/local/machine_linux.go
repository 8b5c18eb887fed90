package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// ticks of processor time make a second in what Linux tells programs, whatever its own clock
// (USER_HZ, proc(5)).
const ticks = 100

// othersCPU is how many processor seconds this machine has spent since it started on anything
// but this process and those with these numbers: other programs, the system itself, and what a
// hypervisor took away. It grows, give or take the ticks between two files, as long as processes
// that end were started by this one.
func othersCPU(pids []int) (float64, error) {
	all, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, fmt.Errorf("read what the machine is busy with: %w", err)
	}
	busy, err := busyTicks(string(all))
	if err != nil {
		return 0, err
	}
	ours := 0
	for _, pid := range append(pids, os.Getpid()) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has ended, and counts as a child of this one that did
		}
		if err != nil {
			return 0, fmt.Errorf("read what process %d has used: %w", pid, err)
		}
		used, ended, err := usedTicks(string(text))
		if err != nil {
			return 0, err
		}
		ours += used
		if pid == os.Getpid() {
			ours += ended
		}
	}
	return float64(busy-ours) / ticks, nil
}

// busyTicks takes from /proc/stat what all cores spent on anything but waiting.
func busyTicks(text string) (int, error) {
	line, _, _ := strings.Cut(text, "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %q, and not with the time of all cores", line)
	}
	// user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
	return sum(fields[1], fields[2], fields[3], fields[6], fields[7], fields[8])
}

// usedTicks takes from /proc/PID/stat what a process used, and what its children did that have
// ended.
func usedTicks(text string) (used, ended int, err error) {
	// The second field is a name in brackets, which may hold spaces and brackets.
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 15 {
		return 0, 0, fmt.Errorf("%q is not the state of a process", text)
	}
	if used, err = sum(fields[11], fields[12]); err != nil {
		return 0, 0, err
	}
	ended, err = sum(fields[13], fields[14])
	return used, ended, err
}

func sum(numbers ...string) (int, error) {
	total := 0
	for _, s := range numbers {
		n, err := strconv.Atoi(s)
		if err != nil {
			return 0, fmt.Errorf("read a number of ticks: %w", err)
		}
		total += n
	}
	return total, nil
}

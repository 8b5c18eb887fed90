package local

import (
	"fmt"
	"os/exec"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// attach ties the life of a process to ours, and keeps the terminal's Ctrl-C
// from it: the one who runs the network stops it in order.
func attach(cmd *exec.Cmd) {
	// The signal comes when the thread that started the process ends; see
	// starter.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}

// detach makes a process that outlives us and our terminal.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// onCore runs start with the thread on one core, which the process that it
// starts inherits, with all threads that will ever be in it.
func onCore(core int, start func() error) error {
	var before, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read the cores of this process: %w", err)
	}
	one.Set(core)
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		return fmt.Errorf("pin to core %d: %w; `nproc` says how many there are, counted from 0", core, err)
	}
	err := start()
	if back := unix.SchedSetaffinity(0, &before); err == nil && back != nil {
		return fmt.Errorf("give back the cores of this process: %w", back)
	}
	return err
}

// otherCores are those that this process may use beside the ones taken.
func otherCores(taken []int) []int {
	var may unix.CPUSet
	if unix.SchedGetaffinity(0, &may) != nil {
		return nil
	}
	var left []int
	for core := range len(may) * 64 {
		if may.IsSet(core) && !slices.Contains(taken, core) {
			left = append(left, core)
		}
	}
	return left
}

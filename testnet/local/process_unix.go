//go:build unix && !linux

package local

import (
	"errors"
	"os/exec"
	"syscall"
)

// attach keeps the terminal's Ctrl-C from a process: the one who runs the
// network stops it in order. This system cannot tie its life to ours.
func attach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// detach makes a process that outlives us and our terminal.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

func onCore(int, func() error) error {
	return errors.New("this system cannot pin processes to cores; leave the cores out")
}

func otherCores([]int) []int { return nil }

//go:build !unix

package local

import (
	"errors"
	"os/exec"
)

func attach(*exec.Cmd) {}

func detach(*exec.Cmd) {}

func onCore(int, func() error) error {
	return errors.New("this system cannot pin processes to cores; leave the cores out")
}

func otherCores([]int) []int { return nil }

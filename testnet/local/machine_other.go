//go:build !linux

package local

import "errors"

func othersCPU([]int) (float64, error) {
	return 0, errors.New("this system does not say what the machine is busy with")
}

//go:build !linux

package node

import "net"

// boundKernel does nothing where kernels have no such bound, or another.
func boundKernel(net.Conn) {}

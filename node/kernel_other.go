//go:build !linux

package node

import "net"

// boundKernel does nothing where kernels have no such bound, or another: there R101 does not
// hold for what the kernel keeps.
func boundKernel(net.Conn) {}

package node

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// boundKernel bounds what the kernel holds of a TCP connection beside what is on its way: left
// alone it takes megabytes, in the order of writing. A connection of another kind, and a
// kernel that does not know the bound, are left as they are.
func boundKernel(c net.Conn) {
	sock, ok := c.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sock.SyscallConn()
	if err != nil {
		return // it is closed already
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxPiece)
	})
}

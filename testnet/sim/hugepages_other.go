//go:build !linux

package sim

// backHeap does nothing: this system chooses the size of its pages itself.
func backHeap(int) {}

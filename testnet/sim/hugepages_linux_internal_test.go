package sim

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

// What is allocated after backHeap lies where the kernel was asked for large pages.
func TestTheHeapLiesOnLargePages(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		t.Skip("this kernel has no transparent huge pages")
	}
	const room = 256 // MB, more than the tests before can have left free
	backHeap(room)
	b := make([]byte, room<<20/2)
	middle := uintptr(unsafe.Pointer(unsafe.SliceData(b))) + uintptr(len(b)/2)
	require.Contains(t, flagsAt(t, middle), "hg")
}

// flagsAt returns the kernel's flags of this process's memory at an address.
func flagsAt(t *testing.T, address uintptr) []string {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	inside := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var from, to uintptr
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &from, &to); n == 2 {
			inside = from <= address && address < to
		}
		if flags, ok := strings.CutPrefix(lines.Text(), "VmFlags:"); ok && inside {
			return slices.Collect(strings.FieldsSeq(flags))
		}
	}
	t.Fatal("smaps says nothing of that address")
	return nil
}

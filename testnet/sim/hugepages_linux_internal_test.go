package sim

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// What is allocated after backHeap lies where the kernel was asked for large pages: in a process
// that has allocated little before, like the child that a run is in. In this one, tests before may
// have left room elsewhere.
func TestTheHeapLiesOnLargePages(t *testing.T) {
	const fresh = "GRAPEVINE_TEST_FRESH_HEAP"
	if os.Getenv(fresh) == "" {
		if !takesAdvice(t) {
			t.Skip("this kernel puts no memory on large pages")
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTheHeapLiesOnLargePages$", "-test.v")
		cmd.Env = append(os.Environ(), fresh+"=1")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), "--- PASS: TestTheHeapLiesOnLargePages")
		return
	}
	const room = 256 // MB
	backHeap(room)
	b := make([]byte, room<<20/2)
	require.Contains(t, flagsAt(t, addressOf(b)+uintptr(len(b)/2)), "hg")
}

// takesAdvice is whether this kernel remembers of a mapping that it is to be on large pages.
func takesAdvice(t *testing.T) bool {
	t.Helper()
	m, err := unix.Mmap(-1, 0, 2*hugePage, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	require.NoError(t, err)
	defer func() { _ = unix.Munmap(m) }()
	if unix.Madvise(m, unix.MADV_HUGEPAGE) != nil {
		return false
	}
	return slices.Contains(flagsAt(t, addressOf(m)), "hg")
}

func addressOf(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

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

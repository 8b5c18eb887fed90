package local

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBusyTicks(t *testing.T) {
	busy, err := busyTicks("cpu  100 20 30 4000 500 6 7 8 9 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n")
	require.NoError(t, err)
	require.Equal(t, 100+20+30+6+7+8, busy)
	for _, bad := range []string{"", "cpu 1 2 3", "cpu0 1 2 3 4 5 6 7 8 9 10", "cpu 1 2 x 4 5 6 7 8"} {
		_, err := busyTicks(bad)
		require.Error(t, err, bad)
	}
}

func TestUsedTicks(t *testing.T) {
	used, ended, err := usedTicks("4711 (a ) name) S 1 4711 4711 0 -1 4194560 1 2 3 4 50 7 200 30 20 0 9 0 1000")
	require.NoError(t, err)
	require.Equal(t, 57, used)
	require.Equal(t, 230, ended)
	for _, bad := range []string{"", "4711 (name) S 1", "4711 (name) S 1 4711 4711 0 -1 4194560 1 2 3 4 x 7 200 30"} {
		_, _, err := usedTicks(bad)
		require.Error(t, err, bad)
	}
}

// Processes that have ended are passed over, and those that are named are not others.
func TestOthersCPU(t *testing.T) {
	ended := exec.Command("true")
	require.NoError(t, ended.Run())
	without, err := othersCPU([]int{os.Getppid(), ended.Process.Pid})
	require.NoError(t, err)
	all, err := othersCPU(nil)
	require.NoError(t, err)
	require.Positive(t, without)
	require.Less(t, without, all+5.0/ticks)
}

//go:build unix

package report_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/report"
)

// TestPipeStaysAPipe: a report goes through what is no file, here behind a
// link, and does not take its place.
func TestPipeStaysAPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	link := pipe + "-link"
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	require.NoError(t, os.Symlink(pipe, link))
	got := make(chan *report.Report, 1)
	go func() {
		r, err := report.ReadFile(pipe)
		assert.NoError(t, err)
		got <- r
	}()
	require.NoError(t, full().WriteFile(link))
	require.Equal(t, full(), <-got)
	info, err := os.Lstat(pipe)
	require.NoError(t, err)
	require.Equal(t, os.ModeNamedPipe, info.Mode().Type())
	info, err = os.Lstat(link)
	require.NoError(t, err)
	require.Equal(t, os.ModeSymlink, info.Mode().Type())
}

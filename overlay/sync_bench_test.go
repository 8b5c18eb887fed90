package overlay_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// BenchmarkCatchUp has a node fetch 10,000 blocks of 20 transactions from two peers over
// loopback, and holds the time against that of validating the same blocks from a file, in
// the same run: docs/figures/sync.md.
func BenchmarkCatchUp(b *testing.B) {
	const blocks, txs = 10_000, 20
	g, c := testGenesis("bench"), newClock()
	c.slot.Store(blocks + 1000)
	path, bytes := writeChain(b, g, blocks, txs)
	for b.Loop() {
		source := newChain(b, g, c)
		before := cpuTime(b)
		disk := validateFile(b, source, path)
		diskCPU := cpuTime(b) - before
		fresh := newChain(b, g, c)
		servers := []option{}
		for range 2 {
			servers = append(servers, bootstrap(startOn(b, newHost(b), source)))
		}
		began, before := time.Now(), cpuTime(b)
		n := startOn(b, newHost(b), fresh, servers...)
		require.Eventually(b, func() bool { return fresh.Head() == source.Head() }, 20*time.Minute, pulse)
		took, allCPU := time.Since(began), cpuTime(b)-before
		require.Zero(b, n.seen.blamed())
		n.stop()
		b.ReportMetric(disk.Seconds()/took.Seconds(), "of-disk-speed")
		b.ReportMetric(blocks/took.Seconds(), "blocks/s")
		b.ReportMetric(blocks/disk.Seconds(), "disk-blocks/s")
		b.ReportMetric(float64(bytes)/blocks, "B/block")
		// Of all three nodes: what serving and carrying costs, on top of validating.
		b.ReportMetric(allCPU.Seconds()/diskCPU.Seconds(), "cpu-of-disk-cpu")
	}
}

// cpuTime is what this process has used of processors.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// writeChain makes blocks full of transfers and writes them to a file.
func writeChain(b *testing.B, g *wire.Genesis, blocks, txs int) (path string, size int) {
	b.Helper()
	path = filepath.Join(b.TempDir(), "blocks")
	f, err := os.Create(path)
	require.NoError(b, err)
	defer f.Close()
	out := bufio.NewWriter(f)
	head := ledger.Ref{ID: g.ID().GenesisBlock()}
	for i := range blocks {
		var list []*wire.Transaction
		for k := range txs {
			list = append(list, transfer(g, fmt.Sprint("wallet ", k%8), uint64(i*((txs+7-k%8)/8)+k/8)))
		}
		block := seal(g, head, head.Slot+1, list)
		head = refOf(block)
		raw := block.AppendTo(nil)
		size += len(raw)
		_, err := fmt.Fprintf(out, "%08x", len(raw))
		require.NoError(b, err)
		_, err = out.Write(raw)
		require.NoError(b, err)
	}
	require.NoError(b, out.Flush())
	return path, size
}

// validateFile gives the blocks of a file to a chain, as the syncer does.
func validateFile(b *testing.B, ch *chain, path string) time.Duration {
	b.Helper()
	checker, err := validation.NewChecker(ch.g, ch)
	require.NoError(b, err)
	f, err := os.Open(path)
	require.NoError(b, err)
	defer f.Close()
	in := bufio.NewReader(f)
	began := time.Now()
	for {
		var size int
		var prefix [8]byte
		if _, err := io.ReadFull(in, prefix[:]); errors.Is(err, io.EOF) {
			return time.Since(began)
		}
		_, err = fmt.Sscanf(string(prefix[:]), "%08x", &size)
		require.NoError(b, err)
		raw := make([]byte, size)
		_, err = io.ReadFull(in, raw)
		require.NoError(b, err)
		block, err := wire.DecodeBlock(raw)
		require.NoError(b, err)
		h, err := checker.Header(b.Context(), ch.c.now(ch.g), block.Header, validation.Sync)
		require.NoError(b, err)
		parts := make([]validation.Part, len(block.Txs))
		for i, tx := range block.Txs {
			parts[i].Tx = tx
		}
		checked, err := checker.Block(h, parts)
		require.NoError(b, err)
		require.NoError(b, ch.AddBlock(b.Context(), checked, ""))
	}
}

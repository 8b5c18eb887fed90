package node_test

import (
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/internal/crashdisk"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/wire"
)

// back is the promise: a node accepts again that soon after its disk does.
const back = 5 * time.Second

func (r *running) status() api.Status {
	r.t.Helper()
	s, err := r.Backend().Status(r.t.Context())
	require.NoError(r.t, err)
	return s
}

// takesAgain waits until the node accepts tx, which must be soon.
func (r *running) takesAgain(tx *wire.Transaction) {
	r.t.Helper()
	healed := time.Now()
	require.Eventually(r.t, func() bool {
		_, err := r.Backend().Submit(r.t.Context(), tx.Bytes())
		if err != nil {
			require.ErrorIs(r.t, err, api.ErrStorage)
		}
		return err == nil
	}, back, 10*time.Millisecond, "accepted within %v of the disk's return", back)
	r.t.Logf("accepted %v after the disk took writes again", time.Since(healed).Round(time.Millisecond))
}

// TestAFullDiskStopsNothingButAcceptance puts a node whose disk fills up
// between two others that know only it. What its users submit is refused;
// transactions and blocks go through it as before. When there is space again it
// accepts within seconds, and what it learnt meanwhile is on its disk.
func TestAFullDiskStopsNothingButAcceptance(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO} {
		t.Run(errno.Error(), func(t *testing.T) {
			producers := keys(1)
			g := genesisOf("full disk", producers...)
			disk := crashdisk.New()
			faults := crashdisk.WithFaults(disk)
			var log journal
			cfg := configOf(t, newHome(t, g, nil), faults)
			cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
			middle := start(t, cfg)
			ends := make([]*running, 2)
			for i := range ends {
				cfg := configOf(t, newHome(t, g, append(producers, nil)[i]), vfs.NewMem())
				cfg.Bootstrap = []string{middle.addr()}
				ends[i] = start(t, cfg)
			}
			first := payment(g, 0, 0)
			middle.submit(first)
			eventually(t, "a block", func() bool { return ends[1].settled([]*wire.Transaction{first}) })

			faults.Fail(errno)
			second := payment(g, 0, 1)
			eventually(t, "refusal", func() bool {
				_, err := middle.Backend().Submit(t.Context(), second.Bytes())
				if err != nil {
					require.ErrorIs(t, err, api.ErrStorage)
					require.ErrorContains(t, err, errno.Error())
				}
				return err != nil
			})
			require.False(t, middle.status().Ready)
			require.Contains(t, middle.status().Waiting[len(middle.status().Waiting)-1], errno.Error())
			height := ends[1].head().Height
			relayed := []*wire.Transaction{payment(g, 1, 0), payment(g, 1, 1)}
			for _, tx := range relayed {
				ends[1].submit(tx)
			}
			eventually(t, "a transaction goes through to the producer, and its block comes back", func() bool {
				return ends[1].settled(relayed) && ends[1].head().Height > height+3
			})
			eventually(t, "the node itself goes on from memory", func() bool {
				return middle.head().Height > height+3 && middle.settled(relayed)
			})
			_, err := middle.Backend().Submit(t.Context(), payment(g, 2, 0).Bytes())
			require.ErrorIs(t, err, api.ErrStorage)
			eventually(t, "nothing becomes of what was refused", func() bool {
				s, err := middle.Backend().TxStatus(t.Context(), payment(g, 2, 0).ID())
				return err == nil && s.State == api.Unknown
			})

			faults.Heal()
			third := payment(g, 2, 0)
			middle.takesAgain(third)
			eventually(t, "ready", func() bool { return middle.status().Ready })
			eventually(t, "everything settles", func() bool {
				return middle.settled(append(relayed, first, third)) && ends[1].settled([]*wire.Transaction{third})
			})
			require.True(t, log.has("level=ERROR", "the disk failed", errno.Error()))
			require.True(t, log.has("level=INFO", "the disk takes writes again"))

			before := middle.head()
			cfg.FS = disk.Crash(vfs.CrashCloneCfg{})
			require.NoError(t, middle.end())
			again := start(t, cfg)
			require.GreaterOrEqual(t, again.head().Height, before.Height, "what was held is on disk")
			require.True(t, again.settled(append(relayed, first, third)))
		})
	}
}

// TestNoWriteOfANodeIsItsLast lets one write fail, wherever it comes in the life
// of a producer that is also submitted to.
func TestNoWriteOfANodeIsItsLast(t *testing.T) {
	step := 17
	if testing.Short() {
		step = 60
	}
	if os.Getenv("GRAPEVINE_SOAK") != "" {
		step = 1
	}
	for k := 1; k <= 120; k += step {
		producers := keys(1)
		g := genesisOf("one write", producers...)
		disk := crashdisk.New()
		faults := crashdisk.WithFaults(disk)
		cfg := configOf(t, newHome(t, g, producers[0]), faults)
		n := start(t, cfg)
		errno := []syscall.Errno{syscall.ENOSPC, syscall.EIO}[k%2]
		t.Logf("write %d: %v", k, errno)
		faults.FailAt(k, errno)
		var txs []*wire.Transaction
		deadline := time.Now().Add(patience)
		for nonce := uint64(0); faults.Writes() < k+200 && nonce < 200; {
			tx := payment(g, 0, nonce)
			if _, err := n.Backend().Submit(t.Context(), tx.Bytes()); err != nil {
				require.ErrorIs(t, err, api.ErrStorage)
				require.True(t, time.Now().Before(deadline), "accepts again")
				time.Sleep(5 * time.Millisecond) //nolint:forbidigo // as a wallet waits
				continue
			}
			txs = append(txs, tx)
			nonce++
		}
		eventually(t, "everything that was accepted is in blocks", func() bool { return n.settled(txs) })
		crashed := disk.Crash(vfs.CrashCloneCfg{})
		require.NoError(t, n.end())
		cfg.FS = crashed
		again := start(t, cfg)
		// Power may have gone before a block that was held is on disk; what it included was not.
		eventually(t, "everything that was accepted is in blocks, again", func() bool { return again.settled(txs) })
		times := make(map[wire.TxID]int)
		for h := uint64(1); h <= again.head().Height; h++ {
			stored, err := again.Backend().BlockAt(t.Context(), h)
			require.NoError(t, err)
			for _, id := range stored.Block.TxIDs() {
				times[id]++
			}
		}
		for _, tx := range txs {
			require.Equal(t, 1, times[tx.ID()])
		}
		require.NoError(t, again.end())
	}
}

package testnet

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/testnet/report"
	"github.com/grapevine-p2p/grapevine/wire"
)

// report puts the run together.
func (d *demo) report() *report.Report {
	f := &d.figures
	t, txLatency, blockLatency := d.watch.read()
	delivered := 0
	for _, n := range t.delivered {
		delivered += n
	}
	receivers := d.o.Nodes - 1
	sent := f.wire1 - f.wire0
	r := &report.Report{
		Scenario: "demo", World: report.WorldLocal, Relay: report.RelayGossip,
		Seed: d.o.Seed, Nodes: d.o.Nodes, Links: f.links, WallS: seconds(time.Since(d.began)),
		Tx: report.Tx{
			Spread: report.Spread{
				Published: t.published, Expected: t.published * receivers, Delivered: delivered,
				DeliveryRatio:     report.Ratio(float64(delivered), float64(t.published*receivers)),
				LatencyMS:         txLatency,
				CopiesPerDelivery: report.Ratio(float64(t.copies), float64(delivered)),
			},
			Included: &t.included, Refused: &t.refused, Dropped: &t.dropped,
		},
		Block: report.Block{
			Spread: report.Spread{
				Published: t.blocks, Expected: t.blocks * receivers, Delivered: t.blockDeliveries,
				DeliveryRatio: report.Ratio(float64(t.blockDeliveries), float64(t.blocks*receivers)),
				LatencyMS:     blockLatency,
			},
			RebuiltWithoutRequestRatio: report.Ratio(float64(t.rebuiltWithoutAsked), float64(t.rebuilt)),
		},
		Bytes: report.Bytes{
			Wire: &sent, PayloadDelivered: t.deliveredBytes,
			WirePerPayload: report.Ratio(float64(sent), float64(t.deliveredBytes)),
		},
		Attack:    report.Attack{Kind: report.NoAttack},
		Resources: report.Resources{HeapMBPerNode: report.Ratio(float64(f.heap)/1e6, float64(d.o.Nodes))},
	}
	if f.idle > 0 {
		r.Bytes.IdlePerNodeS = report.Ratio(float64(f.idleBytes)/f.idle.Seconds(), float64(d.o.Nodes))
	}
	if f.cpuKnown {
		r.Resources.CPUSPerDelivery = report.Ratio((f.cpu1 - f.cpu0).Seconds(), float64(delivered))
	}
	d.judge(r, t)
	d.explain(r, t)
	return r
}

// judge writes down every promise that the run broke.
func (d *demo) judge(r *report.Report, t totals) {
	if t.published == 0 {
		r.Fail("no transaction was accepted")
	}
	if t.refused > 0 {
		r.Fail("%d of %d submissions were refused, the first with: %v", t.refused, t.submitted, d.log.firstRefusal())
	}
	if n := r.Tx.Expected - r.Tx.Delivered; n > 0 {
		r.Fail("%d of %d deliveries of accepted transactions are missing (%s)", n, r.Tx.Expected, short(t))
	}
	if n := t.published - t.included; n > 0 {
		r.Fail("%d of %d accepted transactions are not in a block of every node's best chain", n, t.published)
	}
	for _, what := range d.figures.missing {
		r.Fail("%s", what)
	}
	if n := r.Block.Expected - r.Block.Delivered; n > 0 {
		r.Fail("%d of %d deliveries of blocks are missing", n, r.Block.Expected)
	}
	if t.dropped > 0 {
		r.Fail("%d messages were dropped for load", t.dropped)
	}
	if t.offences > 0 {
		r.Fail("%d offences were charged to honest nodes", t.offences)
	}
}

// short names the nodes that received least.
func short(t totals) string {
	least := 0
	for i, n := range t.delivered {
		if n < t.delivered[least] {
			least = i
		}
	}
	return fmt.Sprintf("fewest at node %d: %d", least, t.delivered[least])
}

// explain writes down what a reader must know.
func (d *demo) explain(r *report.Report, t totals) {
	r.Note("%d links over TCP, %d over QUIC", d.figures.tcp, d.figures.quic)
	r.Note("bytes.wire is what nodes wrote to libp2p streams from the start of the load to the last delivery: above multiplexing and transport encryption, without packet headers; compare it with other runs in world local only")
	r.Note("floor_ms is null: on loopback the links cost nothing")
	r.Note("tx latency begins when a wallet hands the transaction to its node, so the node's checks and its write to disk are in it; a delivery is the first moment another node knew the transaction valid, by gossip or from a block")
	r.Note("rebuilt_without_request_ratio leaves out empty blocks")
	r.Note("resources are of the whole process, load and observers included")
	if t.rollbacks > 0 {
		r.Note("nodes rolled back blocks %d times", t.rollbacks)
	}
	if d.figures.unchecked {
		r.Note("the stores were too large to look through at the end; inclusion is what the hooks said")
	}
	if d.figures.early {
		r.Note("the run was ended before its time")
	}
}

// recheckWithin bounds the last look at the stores. It is reached only after
// long runs, whose figures then stand on the hooks alone.
const recheckWithin = 15 * time.Second

// recheck asks every node, through the API that wallets use, for the blocks of
// its best chain, and looks for the latest accepted transactions in them: the
// answers come from the stores, not from the hooks that the figures are made
// of.
func (d *demo) recheck(up context.Context) {
	within, cancel := context.WithTimeout(up, recheckWithin)
	defer cancel()
	for i, n := range d.net.nodes {
		lost, err := lacking(within, n.Backend(), d.log.latest())
		switch {
		case within.Err() != nil:
			d.figures.unchecked = true
			return
		case err != nil:
			d.figures.missing = append(d.figures.missing, fmt.Sprintf("node %d could not be asked for its chain: %v", i, err))
		case len(lost) > 0:
			d.figures.missing = append(d.figures.missing,
				fmt.Sprintf("node %d lacks %d accepted transactions in its chain, one is %s", i, len(lost), lost[0]))
		}
	}
}

// lacking walks the best chain from its head down until it has met all of ids,
// and returns those that it did not.
func lacking(ctx context.Context, chain api.ChainReader, ids []wire.TxID) ([]wire.TxID, error) {
	left := make(map[wire.TxID]bool, len(ids))
	for _, id := range ids {
		left[id] = true
	}
	head, err := chain.Head(ctx)
	if err != nil {
		return nil, err
	}
	for height := head.Head.Height; height > 0 && len(left) > 0; height-- {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		b, err := chain.BlockAt(ctx, height)
		if err != nil {
			return nil, fmt.Errorf("block at height %d: %w", height, err)
		}
		for _, id := range b.Block.TxIDs() {
			delete(left, id)
		}
	}
	return slices.DeleteFunc(ids, func(id wire.TxID) bool { return !left[id] }), nil
}

// liveHeap is what the process holds once garbage is gone.
func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

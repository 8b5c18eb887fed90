package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/config"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/node/store"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// backend is the node as the API sees it.
type backend struct {
	*Node
	*api.Feed
}

// TxStatus implements api.ChainReader.
func (b backend) TxStatus(_ context.Context, id wire.TxID) (api.TxStatus, error) {
	return b.txStatus(id)
}

// txStatus looks where a transaction can be, from the chain down.
func (n *Node) txStatus(id wire.TxID) (api.TxStatus, error) {
	status := api.TxStatus{ID: id, State: api.Unknown}
	// Asked before the store, which knows what is forgotten here. What the store alone has, and
	// no end of it, a disk that failed may or may not have taken: its user was told so.
	end := n.chain.locals.ended(id)
	followed, _ := n.chain.locals.has(id)
	record, local, err := n.store.LocalTx(id)
	if err != nil {
		return status, storageError(err)
	}
	if end == "" {
		end = record.End
	}
	local = local && (followed || end != "")
	status.Local = local
	place, included, err := n.chain.txPlace(id)
	if err != nil {
		return status, storageError(err)
	}
	if included {
		status.Block, status.Height, status.State = &place.Block, place.Height, api.Included
		if _, final := n.chain.ends(); place.Height <= final.Height {
			status.State = api.Final
		}
		return status, nil
	}
	c := n.chain
	c.mu.RLock()
	pooled, ready := c.pool.Has(id), c.pool.Executable(id)
	c.mu.RUnlock()
	switch {
	case ready:
		status.State = api.Pending
	case pooled:
		status.State, status.Reason = api.Accepted, "waits for transactions of its sender with lower nonces"
	case end != "":
		status = endedStatus(status, end)
	case local && n.private.has(id):
		status.State, status.Reason = api.Accepted, "is on its way to somebody who publishes it"
	case local: // not pooled: early, or between the disk and the pool at a start
		status.State, status.Reason = api.Accepted, "waits for others of its sender"
	}
	return status, nil
}

func endedStatus(status api.TxStatus, end string) api.TxStatus {
	kind, by := parseEnd(end)
	status.By = by
	switch kind {
	case endReplaced:
		status.State, status.Reason = api.Replaced, "a transaction with the same nonce pays more, or as much and came first"
	case endExpired:
		status.State, status.Reason = api.Expired, "its time passed before a block took it"
	case endEvicted:
		status.State, status.Reason = api.Evicted, "the mempool had no room for what it pays"
	case endInvalid:
		status.State, status.Reason = api.Invalid, "a block used its nonce, or left its sender too little"
	case endFinal: // included by a block that a reader of the index just missed
		status.State = api.Final
	}
	return status
}

// Account implements api.ChainReader.
func (b backend) Account(_ context.Context, a wire.Address) (api.Account, error) {
	account, next := b.nextNonce(a)
	return api.Account{
		Address: a.Encode(b.chain.genesis.AddressPrefix), Balance: api.Amount(account.Balance),
		Nonce: api.Amount(account.Nonce), NextNonce: api.Amount(next),
	}, nil
}

// Head implements api.ChainReader.
func (b backend) Head(context.Context) (api.Head, error) {
	head, final := b.chain.ends()
	return api.Head{Head: apiRef(head), Final: apiRef(final)}, nil
}

func apiRef(r ledger.Ref) api.Ref {
	return api.Ref{ID: r.ID, Height: r.Height, Slot: r.Slot, Time: r.Time}
}

// BlockByID implements api.ChainReader.
func (b backend) BlockByID(_ context.Context, id wire.BlockID) (api.StoredBlock, error) {
	block, err := b.chain.body(id)
	if errors.Is(err, store.NotFound) {
		return api.StoredBlock{}, fmt.Errorf("%w: block %s", api.ErrNotFound, id)
	} else if err != nil {
		return api.StoredBlock{}, storageError(err)
	}
	height := block.Header.Body().Height
	at, ok := b.chain.BlockAt(height)
	best := ok && at == id
	c := b.chain
	c.mu.RLock()
	defer c.mu.RUnlock()
	return api.StoredBlock{
		Block: block, Best: best, Final: best && height <= c.ledger.Final().Height, Arrived: c.blocks[id].arrived,
		Journey: b.events.journeys.get(id),
	}, nil
}

// BlockAt implements api.ChainReader.
func (b backend) BlockAt(ctx context.Context, height uint64) (api.StoredBlock, error) {
	id, ok := b.chain.BlockAt(height)
	if !ok {
		return api.StoredBlock{}, fmt.Errorf("%w: no block at height %d", api.ErrNotFound, height)
	}
	return b.BlockByID(ctx, id)
}

// Status implements api.NodeReader.
func (b backend) Status(context.Context) (api.Status, error) {
	n := b.Node
	head, final := n.chain.ends()
	g := n.home.genesis
	now := n.cfg.Now()
	status := api.Status{
		Network: g.Network, NetworkID: g.ID(), Equivocations: len(n.chain.archive.list()), ProducerFaults: len(n.events.faults.list()), Version: n.cfg.Version, PeerID: n.id.String(),
		Head: apiRef(head), Final: apiRef(final), Mempool: n.mempool(),
		Started: validation.UnixMillis(n.started), Uptime: uint64(max(0, now.Sub(n.started).Seconds())),
	}
	for _, addr := range n.Addrs() {
		status.Addrs = append(status.Addrs, addr.String()+"/p2p/"+n.id.String())
	}
	if o := n.overlay.Load(); o != nil {
		for _, p := range o.Peers() {
			if status.Peers++; p.Guest {
				status.Guests++
			}
		}
		if n.cfg.Members {
			count := memberCount(o.MemberStats())
			status.Members = &count
		}
		status.OneSidedLinks = o.OneSidedLinks()
		s := o.Syncing()
		status.Syncing = api.Syncing{
			Active: s.Active, Height: s.Height, Target: s.Target, Sources: s.Sources,
			HeadersAhead: s.Headers, InFlight: s.Blocks, InFlightBytes: s.Bytes, PerSecond: s.PerSec,
		}
	}
	if n.cfg.Profile == config.ProfilePublic {
		status.Reachability = n.reach.status()
	}
	if n.home.producer != nil {
		status.Producer = n.producerStatus(head)
	}
	status.SetAside = n.store.Aside()
	status.Waiting = n.waiting(status)
	status.Ready = len(status.Waiting) == 0
	return status, nil
}

// waiting lists what keeps the node from being ready.
func (n *Node) waiting(s api.Status) []string {
	var list []string
	select {
	case <-n.ready:
	default:
		list = append(list, "the network is starting")
	}
	if s.Syncing.Active {
		list = append(list, fmt.Sprintf("catching up, at height %d of %d", s.Syncing.Height, s.Syncing.Target))
	}
	if s.Head.Height == 0 && s.Head.Slot < n.chain.rescued {
		list = append(list, "the chain was in a damaged store, and has not come back from peers")
	}
	if s.Peers == 0 && len(n.cfg.Bootstrap) > 0 {
		list = append(list, "no peer yet")
	}
	if err := n.chain.unwritten(); err != nil {
		list = append(list, err.Error())
	}
	return list
}

func (n *Node) producerStatus(head ledger.Ref) *api.Producer {
	address := keyfile.Address(n.home.producer)
	p := &api.Producer{
		Address: address.Encode(n.home.genesis.AddressPrefix),
		Active:  slices.Contains(n.home.genesis.ProducersAt(head.Height+1), address),
	}
	if slot, err := n.store.SignedSlot(); err == nil {
		p.LastSlot = slot
	}
	if maker := n.producer.Load(); maker != nil {
		p.Produced = maker.produced.Load()
	}
	return p
}

// Peers implements api.NodeReader.
func (b backend) Peers(context.Context) ([]api.Peer, error) {
	o := b.overlay.Load()
	if o == nil {
		return nil, nil
	}
	infos := o.Peers()
	list := make([]api.Peer, len(infos))
	for i, p := range infos {
		list[i] = api.Peer{
			ID: p.ID.String(), Direction: strings.ToLower(p.Direction.String()), Why: p.Why, Silence: float64(p.Silence.Milliseconds()), Network: p.Network, Guest: p.Guest, Agent: p.Agent,
			RTT: float64(p.RTT.Microseconds()) / 1000, Score: p.Score,
			InTxMesh: p.InTxMesh, InBlockMesh: p.InBlockMesh, Since: validation.UnixMillis(p.Since),
		}
		if p.Hello != nil {
			list[i].Height = p.Hello.Height
		}
		for _, a := range p.Addrs {
			list[i].Addrs = append(list[i].Addrs, a.String())
		}
	}
	return list, nil
}

// Mempool implements api.NodeReader.
func (b backend) Mempool(context.Context) (api.Mempool, error) { return b.mempool(), nil }

func (n *Node) mempool() api.Mempool {
	n.chain.mu.RLock()
	s := n.chain.pool.Stats()
	n.chain.mu.RUnlock()
	return api.Mempool{
		Count: s.Count, Bytes: s.Bytes, Executable: s.Executable, Waiting: s.Waiting, Senders: s.Senders,
		MaxCount: n.cfg.Mempool.MaxCount, MaxBytes: n.cfg.Mempool.MaxBytes,
	}
}

var _ api.Backend = backend{}

package node

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/store"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// archive keeps the equivocations that this node found or heard of, on disk. The
// ledger bounds them: it hands out few for each producer.
type archive struct {
	store *store.Store  // constant
	wake  chan struct{} // holds one token when there is something to write

	mu   sync.Mutex // guards what follows
	all  []store.Evidence
	kept int // of all, from the first
}

func newArchive(s *store.Store) *archive {
	return &archive{store: s, wake: make(chan struct{}, 1)}
}

// restore reads what is kept and tells the ledger, which then takes the same for
// no news.
func (a *archive) restore(l *ledger.Ledger) error {
	list, err := a.store.Evidence()
	if err != nil {
		return err
	}
	for _, e := range list {
		if l.AddEvidence(e.Proof) {
			a.all = append(a.all, e)
		}
	}
	a.kept = len(a.all)
	return nil
}

// add takes in news; run writes it.
func (a *archive) add(ev *wire.Evidence, at time.Time) {
	a.mu.Lock()
	a.all = append(a.all, store.Evidence{Proof: ev, At: at})
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *archive) list() []store.Evidence {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.all)
}

// run writes until ctx ends, and then the rest. A disk that fails gets it later.
func (a *archive) run(ctx context.Context) error {
	for {
		select {
		case <-a.wake:
		case <-ctx.Done():
			return notFailed(a.write())
		}
		for err := a.write(); err != nil; err = a.write() {
			if notFailed(err) != nil {
				return err
			}
			if !sleep(ctx, endRetry) {
				break
			}
		}
	}
}

// notFailed is err, unless that is a disk which may recover.
func notFailed(err error) error {
	if errors.Is(err, store.Failed) {
		return nil
	}
	return err
}

func (a *archive) write() error {
	a.mu.Lock()
	due := slices.Clone(a.all[a.kept:])
	a.mu.Unlock()
	for _, e := range due {
		if err := a.store.PutEvidence(e); err != nil {
			return err
		}
		a.mu.Lock()
		a.kept++
		a.mu.Unlock()
	}
	return nil
}

// ProducerFaults implements api.ChainReader.
func (b backend) ProducerFaults(context.Context) ([]api.ProducerFault, error) {
	return b.events.faults.list(), nil
}

// Evidence implements api.ChainReader.
func (b backend) Evidence(context.Context) ([]api.Equivocation, error) {
	var list []api.Equivocation
	for _, e := range b.chain.archive.list() {
		body := e.Proof.First.Body()
		list = append(list, api.Equivocation{
			EvidenceEvent: api.EvidenceEvent{
				Producer: body.Producer.Encode(b.chain.genesis.AddressPrefix), Slot: body.Slot,
				First: e.Proof.First.ID(), Second: e.Proof.Second.ID(),
			},
			Found: uint64(e.At.UnixMilli()), Proof: hex.EncodeToString(e.Proof.AppendTo(nil)),
		})
	}
	return list, nil
}

package node

import (
	"errors"
	"slices"
	"sync"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/validation"
)

const (
	// maxFaults bounds the faults of producers that are remembered, and faultsOfOne those of one
	// of them, so that none makes those of others forgotten.
	maxFaults   = 256
	faultsOfOne = 4
)

// faults remember, until the node stops, which producers signed blocks that are not what a
// header promises. Each is what this node found out by itself: the proof is the block.
type faults struct {
	mu  sync.Mutex // guards what follows
	all []api.ProducerFault
}

// note takes in a fault, in the place of the producer's oldest where there are many.
func (f *faults) note(found api.ProducerFault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ofOne, oldest := 0, -1
	for i, known := range f.all {
		if known.Producer != found.Producer {
			continue
		}
		if ofOne++; oldest < 0 {
			oldest = i
		}
	}
	switch {
	case ofOne >= faultsOfOne:
		f.all = slices.Delete(f.all, oldest, oldest+1)
	case len(f.all) >= maxFaults:
		f.all = slices.Delete(f.all, 0, 1)
	}
	f.all = append(f.all, found)
}

// list returns them, the oldest first.
func (f *faults) list() []api.ProducerFault {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.all)
}

// blockFailed takes note of an announced block that did not come into the chain. Only a body
// that the header signs, and that is not valid, says anything of its producer.
func (e *events) blockFailed(h validation.CheckedHeader, err error) {
	if !errors.Is(err, validation.BadBlock) {
		e.metrics.parts.failed.WithLabelValues("missing").Inc()
		return
	}
	e.metrics.parts.failed.WithLabelValues("invalid").Inc()
	e.accuse(h, api.InvalidBody, err)
}

// accuse holds a fault against a producer. No peer is to blame for it: all of them passed on
// a header that is in order.
func (e *events) accuse(h validation.CheckedHeader, fault api.ProducerFaultKind, why error) {
	body := h.Body()
	found := api.ProducerFault{
		Producer: body.Producer.Encode(e.prefix), Slot: body.Slot, Height: body.Height, Block: h.ID(), Fault: fault,
		Why: why.Error(), Found: validation.UnixMillis(e.now()),
	}
	e.faults.note(found)
	e.publish(api.Event{Kind: api.ProducerFaultKnown, Fault: &found})
}

// faultHooks fills in those that tell of producers.
func (e *events) faultHooks(h *overlay.Hooks, next overlay.Hooks) {
	h.BlockFailed = func(header validation.CheckedHeader, err error) {
		e.blockFailed(header, err)
		if next.BlockFailed != nil {
			next.BlockFailed(header, err)
		}
	}
	h.BlockAccused = func(header validation.CheckedHeader, why error) {
		e.metrics.parts.accused.Inc()
		e.accuse(header, api.OtherChunks, why)
		if next.BlockAccused != nil {
			next.BlockAccused(header, why)
		}
	}
}

package validation

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Compact checks a block in compact form as it comes by gossip: the header as
// Header does on the Gossip road, and that the list of short ids is the one it
// signs. The body need not exist yet. It keeps raw. A Fault is the sender's.
func (c *Checker) Compact(ctx context.Context, now time.Time, raw []byte) (CheckedHeader, []wire.ShortID, error) {
	compact, err := wire.DecodeCompactBlock(raw)
	if err != nil {
		return CheckedHeader{}, nil, decodeError("compact block", err)
	}
	body := compact.Header.Body()
	if len(compact.ShortIDs) != int(body.TxCount) || wire.ShortIDsHash(compact.ShortIDs) != body.ShortIDsHash {
		return CheckedHeader{}, nil, fmt.Errorf("%w: block %s", BadShortIDs, compact.Header.ID())
	}
	header, err := c.Header(ctx, now, compact.Header, Gossip)
	if err != nil {
		return CheckedHeader{}, nil, err
	}
	return header, compact.ShortIDs, nil
}

// Header checks a header that came by the given road: the limits of genesis,
// the signature, and last what the application says of turn, time and parent.
// A Fault is the sender's, since an honest node would have found it too.
func (c *Checker) Header(ctx context.Context, now time.Time, h *wire.Header, road Road) (CheckedHeader, error) {
	if err := c.headerTerms(h.Body()); err != nil {
		return CheckedHeader{}, fmt.Errorf("%w (block %s)", err, h.ID())
	}
	if !wire.VerifyHeader(c.network, h) {
		return CheckedHeader{}, fmt.Errorf("%w: block %s is not signed by its producer for this network", BadSignature, h.ID())
	}
	if err := c.app.checkHeader(ctx, now, h.Body(), road); err != nil {
		return CheckedHeader{}, err
	}
	return CheckedHeader{header: h, id: h.ID()}, nil
}

// headerTerms checks what follows from the header and genesis alone, whatever
// the application.
func (c *Checker) headerTerms(h *wire.HeaderBody) error {
	limits := c.genesis.Limits
	switch {
	case h.Height == 0:
		return fmt.Errorf("%w: height 0 is genesis, which has no header", BadHeader)
	case h.Version != c.genesis.VersionAt(h.Height):
		return fmt.Errorf("%w: version %d at height %d, want %d", BadHeader, h.Version, h.Height, c.genesis.VersionAt(h.Height))
	case h.TxCount > limits.MaxBlockTxs:
		return fmt.Errorf("%w: %d transactions, genesis allows %d", BadHeader, h.TxCount, limits.MaxBlockTxs)
	case h.Size > limits.MaxBlockBytes:
		return fmt.Errorf("%w: %d bytes of transactions, genesis allows %d", BadHeader, h.Size, limits.MaxBlockBytes)
	case h.ChunkRoot.IsZero() != (h.ChunkData == 0) || h.ChunkRoot.IsZero() && h.ChunkParity != 0:
		// What chunks there are is for whoever asks for them to judge: a block is
		// valid without. Only that there are none is said in one way.
		return fmt.Errorf("%w: chunk fields that contradict each other", BadHeader)
	}
	return nil
}

// Evidence checks the bytes of an equivocation: two headers of one appointed
// producer for one slot, the one with the lower id first. It keeps raw. A Fault
// is the sender's; that the evidence is old news is for the caller to know.
func (c *Checker) Evidence(raw []byte) (*wire.Evidence, error) {
	ev, err := wire.DecodeEvidence(raw)
	if err != nil {
		return nil, decodeError("evidence", err)
	}
	a, b := ev.First.Body(), ev.Second.Body()
	first, second := ev.First.ID(), ev.Second.ID()
	switch {
	case a.Producer != b.Producer || a.Slot != b.Slot:
		return nil, fmt.Errorf("%w: headers of different producers or slots", BadEvidence)
	case bytes.Compare(first[:], second[:]) >= 0:
		return nil, fmt.Errorf("%w: the same header twice, or not the lower id first", BadEvidence)
	}
	for _, h := range []*wire.Header{ev.First, ev.Second} {
		body := h.Body()
		if c.genesis.ProducerOf(body.Height, body.Slot) != body.Producer {
			return nil, fmt.Errorf("%w: slot %d is not the turn of %x", BadEvidence, body.Slot, body.Producer)
		}
		if !wire.VerifyHeader(c.network, h) {
			return nil, fmt.Errorf("%w: block %s is not signed by its producer", BadEvidence, h.ID())
		}
	}
	return ev, nil
}

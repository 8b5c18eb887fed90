package attack

import (
	"bufio"
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/testnet/sim"
	"github.com/grapevine-p2p/grapevine/wire"
)

// liar claims a chain that is higher than anybody's, and answers questions
// about it with nothing, with rubbish, or with less than it claimed.
type liar struct {
	honest
	lie string
}

func newLiar(p *params) rule {
	return &liar{lie: p.word("lie", "what a question about the claimed chain is answered with", "silence", "rubbish", "less")}
}

// claimed is the height that a liar says it has to whom it knows nothing of.
const claimed = 1 << 20

// boast claims one block more than the peer has, where that is known: a node may
// well try that, while it takes no notice of a claim of thousands.
func (*liar) boast(h *wire.Hello, theirs uint64) {
	h.Height, h.Head = claimed, wire.BlockID{1: 1}
	if theirs > 0 {
		h.Height = theirs + 1
	}
}

// lieFor is how long a stream to which nobody answers is kept open.
const lieFor = 10 * time.Minute

func (l *liar) serve(ctx context.Context, n *node, h host.Host) {
	h.SetStreamHandler(overlay.SyncProtocol(n.network), func(s network.Stream) {
		defer s.Close()
		b, err := readFrame(bufio.NewReader(s))
		if err != nil {
			return
		}
		q, err := wire.DecodeSyncRequest(b)
		if err != nil {
			return
		}
		// Its chain is always a block higher than what whoever asks has.
		a := wire.SyncAnswer{ID: q.ID, Status: wire.StatusEnd, HeadHeight: q.FromHeight + 1, Head: wire.BlockID{1: 1}}
		switch l.lie {
		case "silence":
			sim.Sleep(ctx, lieFor)
			return
		case "rubbish":
			a.Status, a.Block = wire.StatusOK, []byte("this is not a block")
		}
		_ = writeFrame(s, a.AppendTo(nil))
	})
}

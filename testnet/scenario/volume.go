package scenario

import (
	"strconv"
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

// What attackers of kind valid-spam send, unless their params say otherwise.
const (
	SpamPerSecond = 100
	SpamSize      = 250 // bytes
)

// What other attackers send to each peer unless their params say otherwise, and
// how large it is.
const (
	ForgedPerSecond   = 50
	ForgedSize        = 512 // bytes, at most
	OversizePerSecond = 4
	OversizeTx        = wire.MaxTx + 64<<10 // bytes: over the limit of a transaction,
	OversizeFrame     = 4 << 20             // and over that of any frame
	FloodPerSecond    = 20
	FloodFrame        = 256 << 10 // bytes, at most
)

// Burden is what an attacker sends to each of its peers without end: how many
// frames a second, and how many bytes each has at most. Both are 0 where it
// sends no more than others do.
func (a Attacker) Burden() (perSecond, frame float64) {
	switch a.Kind {
	case "spammer":
		return a.number("per_second", ForgedPerSecond), ForgedSize
	case "oversize":
		frame = OversizeTx
		if a.Params["over"] == "frame" {
			frame = OversizeFrame
		}
		return a.number("per_second", OversizePerSecond), frame
	case "control-flood":
		return a.number("per_second", FloodPerSecond), FloodFrame
	}
	return 0, 0
}

// Volume is how many transactions the nodes of a run are to carry, and how many
// bytes these have: those of the load, and those of attackers that send valid
// ones. Where sizes are as in real blocks, each counts as mean bytes.
func (s *Scenario) Volume(mean float64) (txs, bytes float64) {
	txs = s.Txs.PerSecond * s.Txs.For.Seconds()
	if s.Txs.Size > 0 {
		mean = float64(s.Txs.Size)
	}
	bytes = txs * mean
	for _, a := range s.Attackers {
		if a.Kind != "valid-spam" {
			continue
		}
		sent := float64(a.Number(s.Nodes)) * a.number("per_second", SpamPerSecond) * a.Lasts(s).Seconds()
		txs += sent
		bytes += sent * a.number("size", SpamSize)
	}
	return txs, bytes
}

// Lasts is how long a attacks in a run of s.
func (a Attacker) Lasts(s *Scenario) time.Duration {
	to := a.To
	if to == 0 {
		to = s.LoadFor() + s.Drain
	}
	return max(0, to-a.From)
}

// number is one of a's params; what is no number, whoever plays a refuses.
func (a Attacker) number(param string, otherwise float64) float64 {
	v, err := strconv.Atoi(a.Params[param])
	if err != nil {
		return otherwise
	}
	return float64(max(0, v))
}

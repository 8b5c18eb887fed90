package scenario

import "strconv"

// What attackers of kind valid-spam send, unless their params say otherwise.
const (
	SpamPerSecond = 100
	SpamSize      = 250 // bytes
)

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
		to := a.To
		if to == 0 {
			to = s.LoadFor() + s.Drain
		}
		sent := float64(a.Number(s.Nodes)) * a.number("per_second", SpamPerSecond) * max(0, to-a.From).Seconds()
		txs += sent
		bytes += sent * a.number("size", SpamSize)
	}
	return txs, bytes
}

// number is one of a's params; what is no number, whoever plays a refuses.
func (a Attacker) number(param string, otherwise float64) float64 {
	v, err := strconv.Atoi(a.Params[param])
	if err != nil {
		return otherwise
	}
	return float64(max(0, v))
}

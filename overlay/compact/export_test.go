package compact

import "github.com/grapevine-p2p/grapevine/wire"

// Overlooks reports whether the machine takes a block for one of which there is nobody to ask
// for anything, and is wrong.
func (m *Machine) Overlooks(id wire.BlockID) bool {
	j := m.blocks[id]
	if j == nil || j.over || !j.calm || len(j.unasked()) == 0 {
		return false
	}
	return j.round < m.cfg.Rounds && len(m.askable(j)) > 0 || !j.awaits()
}

package compact

import (
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Overlooks reports whether the machine takes a block for one of which there is nobody to ask
// for anything, and is wrong.
func (m *Machine) Overlooks(id wire.BlockID) bool {
	j := m.blocks[id]
	if j == nil || j.over || !j.calm || len(j.unasked()) == 0 {
		return false
	}
	return j.round < m.cfg.Rounds && len(m.askable(j)) > 0 || !j.awaits()
}

// AskedLast lists the links that were late of late.
func (m *Machine) AskedLast() (ids []peerscore.PeerID) {
	for _, l := range m.links {
		if l.rank() > 0 {
			ids = append(ids, l.ID)
		}
	}
	return ids
}

package attack

// coldBoot is one of many that were there before the honest nodes: it passes
// on nothing from the beginning, and is in every mesh that takes it.
type coldBoot struct{ silent }

func newColdBoot(*params) rule { return coldBoot{} }

func (coldBoot) always() {}

// newCovertFlash behaves until From, and then, with all the others, is silent.
func newCovertFlash(*params) rule { return silent{} }

// eclipse is silent, and linked to the one victim that all of its kind surround.
type eclipse struct{ silent }

func newEclipse(*params) rule { return eclipse{} }

func (eclipse) aims() {}

// censor is linked to one victim, and drops what that sends; all else it passes
// on.
type censor struct{ honest }

func newCensor(*params) rule { return censor{} }

func (censor) aims() {}

func (censor) message(n *node, m *message) {
	if m.from.peer != n.seat.Victim.ID {
		n.forward(m)
	}
}

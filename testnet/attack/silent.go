package attack

// silent sits in every mesh that takes it, and passes on nothing.
type silent struct{ honest }

func newSilent(*params) rule { return silent{} }

func (silent) message(*node, *message) {}

func (silent) asked(*node, *line, []string) {}

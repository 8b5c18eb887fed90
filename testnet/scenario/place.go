package scenario

// file remembers on which line of which file each key of a scenario stands.
type file struct {
	name  string
	lines map[string]int // by path of the key: "network.dials", "churn.0.from"
}

//go:build !race

package sim_test

// raced says that the race detector watches this program and its children.
const raced = false

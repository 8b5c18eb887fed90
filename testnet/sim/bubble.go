package sim

import (
	"testing"
	"testing/synctest"
)

// bubble calls inside in virtual time, then after outside of it, and exits the
// process. synctest wants a *testing.T, and testing.Main is how an ordinary
// program comes by one. A goroutine that inside leaves behind is a panic.
func bubble(inside, after func()) {
	run := testing.InternalTest{Name: "sim", F: func(t *testing.T) {
		synctest.Test(t, func(*testing.T) { inside() })
		after()
	}}
	match := func(string, string) (bool, error) { return true, nil }
	testing.Main(match, []testing.InternalTest{run}, nil, nil)
}

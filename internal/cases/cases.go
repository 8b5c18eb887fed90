// Package cases says how many random cases a test has.
package cases

import (
	"flag"
	"strconv"
)

// T is the part of testing.T that is needed here.
type T interface {
	Helper()
	Fatal(args ...any)
	Cleanup(func())
}

// AtLeast has rapid check so many cases or more until the test ends: -rapid.checks counts
// where it is greater. Tests that run beside this one are changed, too.
func AtLeast(t T, n int) {
	t.Helper()
	checks := flag.Lookup("rapid.checks")
	before := checks.Value.String()
	if told, err := strconv.Atoi(before); err == nil && told >= n {
		return
	}
	set := func(s string) {
		if err := checks.Value.Set(s); err != nil {
			t.Fatal("set rapid.checks:", err)
		}
	}
	set(strconv.Itoa(n))
	t.Cleanup(func() { set(before) })
}

//go:build !unix

package sim

import "time"

// cpuTime is not known here; the report says null.
func cpuTime() (time.Duration, bool) { return 0, false }

package sim

import (
	"bytes"
	"strings"
)

// tail keeps the beginning and the end of what a child says on its standard
// error: a panic begins with its reason, and may go on for megabytes.
type tail struct {
	head []byte
	end  []byte
}

// kept bounds each of the two parts.
const kept = 64 << 10

// Write implements io.Writer. It never fails.
func (t *tail) Write(b []byte) (int, error) {
	n := len(b)
	if room := kept - len(t.head); room > 0 {
		take := min(room, len(b))
		t.head = append(t.head, b[:take]...)
		b = b[take:]
	}
	t.end = append(t.end, b...)
	if len(t.end) > 2*kept {
		t.end = append(t.end[:0], t.end[len(t.end)-kept:]...)
	}
	return n, nil
}

// reasonLines is enough to see where a panic began.
const reasonLines = 16

// reason is the part that explains a death best: from the first line that
// names a panic on, or the last lines.
func (t *tail) reason() string {
	all := append(bytes.Clone(t.head), t.end...)
	lines := strings.Split(strings.TrimSpace(string(all)), "\n")
	for i, line := range lines {
		for _, sign := range []string{"panic: ", "fatal error: ", "runtime: out of memory"} {
			if strings.HasPrefix(line, sign) {
				return strings.Join(lines[i:min(len(lines), i+reasonLines)], "\n")
			}
		}
	}
	return strings.Join(lines[max(0, len(lines)-reasonLines):], "\n")
}

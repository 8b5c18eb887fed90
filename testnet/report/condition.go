package report

import (
	"fmt"
	"strconv"
	"strings"
)

// Condition compares one figure of a report with a number, or with a multiple
// of a figure.
type Condition struct {
	Field string  // path of a figure in the JSON form: "tx.latency_ms.p99"
	Op    string  // one of <, <=, ==, !=, >=, >
	Value float64 // what Field is compared with, or how many times Of
	Times bool    // Value is a multiple
	Of    string  // with Times: path of the figure multiplied; empty is Field itself, in the report compared with
}

// String is c as ParseCondition reads it.
func (c Condition) String() string {
	text := c.Field + " " + c.Op + " " + strconv.FormatFloat(c.Value, 'g', -1, 64)
	if c.Times {
		text += strings.TrimRight("x "+c.Of, " ")
	}
	return text
}

var _ fmt.Stringer = Condition{}

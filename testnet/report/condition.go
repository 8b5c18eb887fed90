package report

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Condition compares one figure of a report with a number, or with a multiple
// of a figure.
type Condition struct {
	Field string  // path of a figure: "tx.latency_ms.p99"
	Op    string  // one of Ops
	Value float64 // what Field is compared with, or how many times Of
	Times bool    // Value is a multiple
	Of    string  // with Times: the figure multiplied; empty is Field itself, in the report compared with
}

// Ops are the comparisons that a Condition can make.
var Ops = []string{"<=", ">=", "==", "!=", "<", ">"}

// ErrUnmeasured is what a condition on a figure that a run did not measure fails
// with.
var ErrUnmeasured = errors.New("not measured")

var conditionForm = regexp.MustCompile(`^\s*([a-z0-9_.]+)\s*(<=|>=|==|!=|<|>)\s*([-+0-9.eE]+)\s*(x\s*([a-z0-9_.]*))?\s*$`)

// ParseCondition reads "tx.delivery_ratio == 1", "tx.latency_ms.p99 <= 2.2x
// floor_ms.p99" and, for comparing two reports, "tx.latency_ms.p99 > 1.1x".
func ParseCondition(text string) (Condition, error) {
	m := conditionForm.FindStringSubmatch(text)
	if m == nil {
		return Condition{}, fmt.Errorf("%q is no condition, want FIGURE OP NUMBER such as tx.latency_ms.p99 <= 250, with OP one of %s", text, strings.Join(Ops, " "))
	}
	c := Condition{Field: m[1], Op: m[2], Times: m[4] != "", Of: m[5]}
	var err error
	if c.Value, err = strconv.ParseFloat(m[3], 64); err != nil || math.IsInf(c.Value, 0) {
		return Condition{}, fmt.Errorf("%q: %q is no number", text, m[3])
	}
	for _, name := range []string{c.Field, c.Of} {
		if name != "" && !slices.Contains(Figures(), name) {
			return Condition{}, fmt.Errorf("%q: no report has a figure %q%s", text, name, resembling(name))
		}
	}
	return c, nil
}

// resembling names figures that end as name does.
func resembling(name string) string {
	last := name[strings.LastIndexByte(name, '.')+1:]
	var found []string
	for _, f := range Figures() {
		if last != "" && strings.HasSuffix(f, last) {
			found = append(found, f)
		}
	}
	if len(found) == 0 {
		found = Figures()
	}
	return "; there are " + strings.Join(found, ", ")
}

// String is c as ParseCondition reads it.
func (c Condition) String() string {
	text := c.Field + " " + c.Op + " " + number(c.Value)
	if c.Times {
		text = strings.TrimRight(text+"x "+c.Of, " ")
	}
	return text
}

// Holds says whether c is true of r; base is the report that a multiple
// without a figure of its own refers to, and may be nil where c has none.
// Finding is r's figure as a sentence, for whoever must be told. The error is
// ErrUnmeasured, with the figure's name, where r or base has no such figure.
func (c Condition) Holds(r, base *Report) (holds bool, finding string, err error) {
	got, err := r.Figure(c.Field)
	if err != nil {
		return false, "", err
	}
	limit := c.Value
	finding = fmt.Sprintf("%s is %s", c.Field, number(got))
	if c.Times {
		of, from := c.Of, r
		if of == "" {
			of, from = c.Field, base
		}
		if from == nil {
			return false, "", fmt.Errorf("%s: a multiple needs a report to compare with", c)
		}
		unit, err := from.Figure(of)
		if err != nil {
			return false, "", err
		}
		limit *= unit
		finding += fmt.Sprintf(" (%sx is %s)", number(c.Value), number(limit))
	}
	return compare(got, c.Op, limit), finding, nil
}

// slack forgives what rounding to six decimals and multiplying do to numbers
// that are meant to be equal.
const slack = 1e-9

func compare(a float64, op string, b float64) bool {
	equal := math.Abs(a-b) <= slack*max(1, math.Abs(a), math.Abs(b))
	switch op {
	case "<":
		return a < b && !equal
	case "<=":
		return a < b || equal
	case ">":
		return a > b && !equal
	case ">=":
		return a > b || equal
	case "==":
		return equal
	case "!=":
		return !equal
	}
	return false
}

// Promise is a condition that a run should meet.
type Promise struct {
	Condition
	KnownGap string // not empty: why it is not met yet
}

// Judge checks promises and writes down those that r breaks: as failed
// expectations, or, for known gaps, as notes. A known gap that has closed is a
// note too, so that the mark gets taken off.
func (r *Report) Judge(promises []Promise) {
	for _, p := range promises {
		holds, finding, err := p.Holds(r, nil)
		if err != nil {
			finding = err.Error()
		}
		switch {
		case holds && p.KnownGap != "":
			r.Note("known gap closed: %s holds (%s); it was expected not to: %s", p.Condition, finding, p.KnownGap)
		case holds:
		case p.KnownGap != "":
			r.Note(knownGap+"%s, want %s: %s", finding, p.Condition, p.KnownGap)
		default:
			r.Fail("%s, want %s", finding, p.Condition)
		}
	}
}

// knownGap begins the note on a promise that is known not to be kept yet.
const knownGap = "known gap: "

// KnownGaps is how many promises Judge found broken as expected.
func (r *Report) KnownGaps() int {
	n := 0
	for _, note := range r.Notes {
		if strings.HasPrefix(note, knownGap) {
			n++
		}
	}
	return n
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 7, 64) }

package report

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
)

// Comparison puts two reports side by side.
type Comparison struct {
	A    Side  `json:"a"`
	B    Side  `json:"b"`
	Rows []Row `json:"figures"` // those that at least one of the two measured, in the order of Figures

	// FailedExpectations are those of B, and every condition that was to make
	// the comparison fail and came true. It is never null.
	FailedExpectations []string `json:"failed_expectations"`
	// Notes says why the two may not be comparable. It is never null.
	Notes []string `json:"notes"`
}

// Side says which run a report is of.
type Side struct {
	Scenario string `json:"scenario"`
	World    string `json:"world"`
	Relay    string `json:"relay"`
	Seed     uint64 `json:"seed"`
	Nodes    int    `json:"nodes"`
}

// Row is one figure of both.
type Row struct {
	Field string   `json:"field"`
	A     *float64 `json:"a"` // null: not measured
	B     *float64 `json:"b"`
	Ratio *float64 `json:"ratio"` // B ÷ A; null without both, or where A is zero
}

// Compare holds b against a. It fails where b broke its own expectations and
// where one of failIf is true of b, multiples being of a's figures. The error
// is for conditions on figures that a or b did not measure: a check that
// cannot be made must not pass for one that was.
func Compare(a, b *Report, failIf []Condition) (*Comparison, error) {
	c := &Comparison{A: side(a), B: side(b), FailedExpectations: []string{}, Notes: incomparable(a, b)}
	for _, field := range Figures() {
		row := Row{Field: field, A: figureOrNil(a, field), B: figureOrNil(b, field)}
		if row.A == nil && row.B == nil {
			continue
		}
		if row.A != nil && row.B != nil {
			row.Ratio = Ratio(*row.B, *row.A)
		}
		c.Rows = append(c.Rows, row)
	}
	c.FailedExpectations = append(c.FailedExpectations, b.FailedExpectations...)
	for _, condition := range failIf {
		holds, finding, err := condition.Holds(b, a)
		if err != nil {
			return nil, fmt.Errorf("check %q: %w", condition, err)
		}
		if holds {
			c.FailedExpectations = append(c.FailedExpectations, fmt.Sprintf("%s, which is %s", finding, condition))
		}
	}
	return c, nil
}

func side(r *Report) Side { return Side{r.Scenario, r.World, r.Relay, r.Seed, r.Nodes} }

func figureOrNil(r *Report, field string) *float64 {
	v, err := r.Figure(field)
	if err != nil {
		return nil
	}
	return &v
}

// incomparable says what differs beside the relay, which is what one usually
// wants to compare. With other nodes or another seed the links are others too.
func incomparable(a, b *Report) []string {
	notes := []string{}
	differ := func(what string, x, y any) {
		if x != y {
			notes = append(notes, fmt.Sprintf("the runs differ in %s: %v and %v", what, x, y))
		}
	}
	differ("scenario", a.Scenario, b.Scenario)
	differ("world", a.World, b.World)
	differ("seed", a.Seed, b.Seed)
	differ("nodes", a.Nodes, b.Nodes)
	if a.Seed == b.Seed && a.Nodes == b.Nodes {
		differ("links", a.Links, b.Links)
	}
	differ("attackers", attackers(a), attackers(b))
	differ("settings", settings(a), settings(b))
	return notes
}

func attackers(r *Report) string {
	if r.Attack.Attackers == 0 {
		return NoAttack
	}
	return fmt.Sprintf("%d × %s", r.Attack.Attackers, r.Attack.Kind)
}

func settings(r *Report) string {
	if len(r.Settings) == 0 {
		return "none"
	}
	return strings.Join(r.Settings, ", ")
}

// WriteTable writes c for people: one row for each figure.
func (c *Comparison) WriteTable(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	width := len("FIGURE")
	for _, row := range c.Rows {
		width = max(width, len(row.Field))
	}
	name := func(s string) string { return fmt.Sprintf("%-*s", width, s) } // to the left, unlike numbers
	fmt.Fprintf(tw, "%s\tA: %s\tB: %s\tB ÷ A\t\n", name("FIGURE"), c.A.name(c.B), c.B.name(c.A))
	for _, row := range c.Rows {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t\n", name(row.Field), figureText(row.A), figureText(row.B), figureText(row.Ratio))
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("write comparison: %w", err)
	}
	for _, note := range c.Notes {
		if _, err := fmt.Fprintf(w, "note: %s\n", Printable(note)); err != nil {
			return fmt.Errorf("write comparison: %w", err)
		}
	}
	return nil
}

// name says what sets s apart from other.
func (s Side) name(other Side) string {
	parts := []string{Printable(s.Scenario)}
	if s.World != other.World {
		parts = append(parts, s.World)
	}
	parts = append(parts, s.Relay)
	if s.Nodes != other.Nodes {
		parts = append(parts, fmt.Sprint(s.Nodes, " nodes"))
	}
	if s.Seed != other.Seed {
		parts = append(parts, fmt.Sprint("seed ", s.Seed))
	}
	return strings.Join(parts, " ")
}

// figureText shows four digits, and whole numbers whole.
func figureText(v *float64) string {
	switch {
	case v == nil:
		return "–"
	case *v == math.Trunc(*v) && math.Abs(*v) < 1e15:
		return fmt.Sprintf("%.0f", *v)
	case math.Abs(*v) >= 1000:
		return fmt.Sprintf("%.0f", *v)
	default:
		return fmt.Sprintf("%.4g", *v)
	}
}

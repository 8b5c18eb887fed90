package report

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Repeats says how far the figures of several runs lie apart. Of runs of one seed it is
// what a difference between two runs has to exceed to mean anything.
type Repeats struct {
	Runs  int          `json:"runs"`
	Rows  []RepeatsRow `json:"figures"` // those that every run measured, in the order of Figures
	Notes []string     `json:"notes"`   // why the runs may not be repetitions; never null
}

// RepeatsRow is one figure of all runs.
type RepeatsRow struct {
	Field  string   `json:"field"`
	Min    float64  `json:"min"`
	Median float64  `json:"median"`
	Max    float64  `json:"max"`
	Spread *float64 `json:"spread"` // (Max − Min) ÷ Median; null where the median is zero
}

// ErrTooFew says that one run cannot be apart from itself.
var ErrTooFew = errors.New("want two reports or more")

// RepeatsOf holds two reports or more against each other.
func RepeatsOf(runs []*Report) (*Repeats, error) {
	if len(runs) < 2 {
		return nil, ErrTooFew
	}
	s := &Repeats{Runs: len(runs), Notes: []string{}}
	for _, r := range runs[1:] {
		for _, note := range incomparable(runs[0], r) {
			if !slices.Contains(s.Notes, note) {
				s.Notes = append(s.Notes, note)
			}
		}
		if r.Relay != runs[0].Relay {
			s.Notes = append(s.Notes, fmt.Sprintf("the runs differ in relay: %s and %s", runs[0].Relay, r.Relay))
		}
	}
	for _, field := range Figures() {
		if row, ok := spreadOf(field, runs); ok {
			s.Rows = append(s.Rows, row)
		}
	}
	return s, nil
}

// WriteEach writes some figures of each run for people, and for scripts that split lines at
// blanks: a row for each run, which begins with its seed. What a run did not measure is a
// dash. The error says which of fields is no figure.
func WriteEach(w io.Writer, runs []*Report, fields []string) error {
	for _, field := range fields {
		if !slices.Contains(Figures(), field) {
			return fmt.Errorf("no report has a figure %q%s", field, resembling(field))
		}
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(tw, "seed\t%s\t\n", strings.Join(fields, "\t"))
	for _, r := range runs {
		fmt.Fprintf(tw, "%d\t", r.Seed)
		for _, field := range fields {
			fmt.Fprintf(tw, "%s\t", figureText(figureOrNil(r, field)))
		}
		fmt.Fprintln(tw)
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	return nil
}

func spreadOf(field string, runs []*Report) (RepeatsRow, bool) {
	values := make([]float64, 0, len(runs))
	for _, r := range runs {
		v := figureOrNil(r, field)
		if v == nil {
			return RepeatsRow{}, false
		}
		values = append(values, *v)
	}
	slices.Sort(values)
	n := len(values)
	median := (values[(n-1)/2] + values[n/2]) / 2
	return RepeatsRow{
		Field: field, Min: values[0], Median: median, Max: values[n-1],
		Spread: Ratio(values[n-1]-values[0], median),
	}, true
}

// WriteTable writes s for people: one row for each figure.
func (s *Repeats) WriteTable(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	width := len("FIGURE")
	for _, row := range s.Rows {
		width = max(width, len(row.Field))
	}
	fmt.Fprintf(tw, "%-*s\tMIN\tMEDIAN\tMAX\tSPREAD\t\n", width, "FIGURE")
	for _, row := range s.Rows {
		spread := "–"
		if row.Spread != nil {
			spread = fmt.Sprintf("%.1f %%", 100**row.Spread)
		}
		fmt.Fprintf(tw, "%-*s\t%s\t%s\t%s\t%s\t\n", width, row.Field, figureText(&row.Min), figureText(&row.Median), figureText(&row.Max), spread)
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("write spread: %w", err)
	}
	for _, note := range s.Notes {
		if _, err := fmt.Fprintf(w, "note: %s\n", Printable(note)); err != nil {
			return fmt.Errorf("write spread: %w", err)
		}
	}
	return nil
}

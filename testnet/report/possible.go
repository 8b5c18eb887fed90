package report

import (
	"fmt"
	"strings"
)

// impossible says which figures of r no run can have: less than nothing, more
// than the whole, percentiles that fall. The numbers of a report that was read
// are somebody's claims, and conditions are judged by them.
func (r *Report) impossible() []error {
	var errs []error
	for _, name := range Figures() {
		v, err := r.Figure(name)
		if err != nil {
			continue // not measured
		}
		switch {
		case !(v >= 0): // NaN fails too
			errs = append(errs, fmt.Errorf("%s is %v, want at least 0", name, v))
		case strings.HasSuffix(name, "_ratio") && v > 1:
			errs = append(errs, fmt.Errorf("%s is %v, want at most 1", name, v))
		}
		if of, ok := strings.CutSuffix(name, ".p50"); ok {
			errs = append(errs, r.ascending(of)...)
		}
	}
	return errs
}

// ascending holds the percentiles of one quantity against each other.
func (r *Report) ascending(of string) []error {
	var errs []error
	last, lastName := 0.0, ""
	for _, p := range []string{".p50", ".p90", ".p99", ".max"} {
		v, err := r.Figure(of + p)
		if err != nil {
			continue // not every quantity has all of them
		}
		if lastName != "" && v < last {
			errs = append(errs, fmt.Errorf("%s is %v, and %s is %v, which is less", lastName, last, of+p, v))
		}
		last, lastName = v, of+p
	}
	return errs
}

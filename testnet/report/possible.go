package report

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"
)

// rounding is how far a ratio may be from what it is of: ratios are written with
// six decimals.
const rounding = 1e-6

// spreads are all that r tells of, by their names.
func (r *Report) spreads() iter.Seq2[string, Spread] {
	return func(yield func(string, Spread) bool) {
		if !yield("tx", r.Tx.Spread) || !yield("block", r.Block.Spread) {
			return
		}
		type named struct {
			name  string
			phase *Phase
		}
		parts := []named{{"attack.before", r.Attack.Before}, {"attack.during", r.Attack.During}}
		if o := r.Overlap; o != nil {
			parts = append(parts, named{"overlap.before", o.Before}, named{"overlap.during", o.During})
		}
		for _, p := range parts {
			if p.phase != nil && (!yield(p.name+".tx", p.phase.Tx) || !yield(p.name+".block", p.phase.Block)) {
				return
			}
		}
	}
}

// contradictions says where the figures of s cannot all be true.
func (s Spread) contradictions() []error {
	var errs []error
	if s.Delivered > s.Expected {
		errs = append(errs, fmt.Errorf("delivered %d of %d expected", s.Delivered, s.Expected))
	}
	if c := s.CopiesPerDelivery; c != nil && !(*c >= 1) {
		errs = append(errs, fmt.Errorf("%v copies per delivery, want at least one", *c))
	}
	if d := s.DeliveryRatio; d != nil {
		if of := float64(s.Delivered) / float64(s.Expected); !(math.Abs(*d-of) <= rounding) { // NaN, of nothing expected, fails too
			errs = append(errs, fmt.Errorf("a delivery ratio of %v, and delivered %d of %d expected", *d, s.Delivered, s.Expected))
		}
	}
	if s.LatencyMS != nil && s.Delivered == 0 {
		errs = append(errs, errors.New("a latency of what was not delivered"))
	}
	return errs
}

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

package overlay

import (
	"errors"
	"math/rand/v2"

	"github.com/grapevine-p2p/grapevine/validation"
)

// TxGlancer is a Pool that knows at a glance what it would refuse whoever signed it, such as
// a fee below its floor.
type TxGlancer interface {
	// GlanceTxs is a validation.Glance. It is quick.
	GlanceTxs(claims []validation.Claim) []error
}

// spotChecks is how many of what a glance refuses stand for one whose signature is verified
// all the same. So a refusal costs a fraction of a signature, and whoever sends forgeries
// where nobody looks at them is found out by the sixteenth in the mean; from then on all that
// it sends is looked at (see collector).
const spotChecks = 16

// checkExpired looks at the signatures of what VerifyTxs refused as expired, of one in so many.
// A relay is not to blame for what expired under way (R120), and is for what nobody signed.
func (c *collector) checkExpired(arrivals []validation.Arrival, results []validation.TxResult, oneIn int) {
	for i, r := range results {
		if !errors.Is(r.Err, validation.Expired) || rand.IntN(oneIn) != 0 {
			continue
		}
		if _, err := c.checker.Sound(arrivals[i].Raw); err != nil {
			results[i].Err = err
		}
	}
}

// glanceOf is what the pool can do at a glance; nil if it cannot.
func glanceOf(p Pool) validation.Glance {
	if g, ok := p.(TxGlancer); ok {
		return g.GlanceTxs
	}
	return nil
}

// spotChecked is glance, but for some that it overlooks, drawn by draw(n) from 0 to n-1.
func spotChecked(glance validation.Glance, draw func(n int) int) validation.Glance {
	if glance == nil {
		return nil
	}
	return func(claims []validation.Claim) []error {
		errs := glance(claims)
		for i, err := range errs {
			if err != nil && draw(spotChecks) == 0 {
				errs[i] = nil
			}
		}
		return errs
	}
}

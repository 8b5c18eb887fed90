package attack_test

import "testing"

// What silent nodes do to those that have no repair, sieges show.
func TestSilent(t *testing.T) { holds(t, shipped(t, "attack-silent")) }

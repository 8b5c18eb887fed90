package attack_test

import "testing"

func TestWithholder(t *testing.T) { holds(t, shipped(t, "attack-withholder")) }

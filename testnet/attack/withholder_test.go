package attack_test

import "testing"

func TestP5Withholder(t *testing.T) { holds(t, shipped(t, "attack-withholder")) }

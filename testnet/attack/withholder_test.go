package attack_test

import "testing"

func TestP27Withholder(t *testing.T) { holds(t, shipped(t, "attack-withholder")) }

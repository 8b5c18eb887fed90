package attack_test

import "testing"

// Without redundancy, what is announced and not sent is missing for long.
func TestWithholder(t *testing.T) {
	holds(t, shipped(t, "attack-withholder"))
	swallows(t, "attack-withholder")
}

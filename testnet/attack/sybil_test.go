package attack_test

import "testing"

// Without redundancy, a mesh of Sybils loses messages.
func TestSybils(t *testing.T) {
	for _, name := range []string{"attack-cold-boot", "attack-covert-flash", "attack-eclipse", "attack-censor"} {
		t.Run(name, func(t *testing.T) {
			holds(t, shipped(t, name))
			swallows(t, name)
		})
	}
}

package attack_test

import (
	"fmt"

	"github.com/grapevine-p2p/grapevine/testnet/attack"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// A program that runs scenarios with attackers gives attack.Relays to sim.Child,
// and can check what a scenario says of them before it starts.
func ExampleCheck() {
	err := attack.Check(&scenario.Attacker{Kind: "spammer", Params: map[string]string{"per_secund": "50"}})
	fmt.Println(err)
	// Output: attacker spammer: params.per_secund is unknown
}

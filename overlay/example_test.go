package overlay_test

import (
	"fmt"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/wire"
)

// A foreign GossipSub client needs the topic and the message id of a network.
func ExampleMessageID() {
	network := wire.NetworkID{0xab, 0xcd}
	topic := overlay.TxTopic(network)
	fmt.Println(topic)
	fmt.Printf("%x\n", overlay.MessageID(network, topic, []byte("data")))
	// Output:
	// /grapevine/abcd000000000000/tx/1
	// a7d23d64819acbf27632fc270d7a900a00bbd659
}

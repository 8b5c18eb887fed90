// Package stock is the yardstick: go-libp2p-pubsub by itself, as relays of world sim.
//
// It guarantees that what is measured is the library: its router, queues,
// signatures and ids as the profile says, and of Grapevine nothing but the
// observer, which is told what the subscription of the receiving node handed
// out. A node that peers cannot reach is never passed off as ready.
//
// It needs of the caller the hosts, links and neighbours of a seat.
//
// It does not judge messages: to it transactions and blocks are bytes.
package stock

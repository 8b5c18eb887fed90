// Package attack has the attackers of testnets: small types that break one rule each, and keep all others.
//
// It guarantees that an attacker is a whole peer until its attack begins: it
// says hello, joins the topics that its peers are in, sits in their meshes and
// passes on what it hears. It joins networks of Grapevine nodes and of plain
// go-libp2p-pubsub alike, since it does what its peers do. It tells no observer
// anything: what an attack did, honest nodes say.
//
// It needs of the caller the seat of an attacker, whose scenario says which
// rule is broken, from when to when, and how badly: in world sim the seat comes
// from the simulation ([Relays]), in world local a process of its own is told
// of it on its standard input ([Play]).
//
// It does not use the code that it attacks beyond names and encodings: it
// writes to raw streams, so that no check of ours keeps it honest.
package attack

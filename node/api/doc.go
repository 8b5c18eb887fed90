// Package api is the local HTTP interface of a node, its event stream, and the client for both.
//
// What it guarantees: nothing is answered to a caller that did not prove its
// scope (a bearer token on TCP, the file permission of the socket itself on the
// unix socket), nothing is answered to a web page of another origin, every body,
// header, connection, stream and rate has a bound, and every refusal is a
// problem document with a stable code, the numbers and a remedy. A slow reader
// of events delays nobody; what it missed is said by a gap event.
//
// What it needs of the caller: a [Backend] that is safe for concurrent use,
// answers the same bytes with the same answer, and returns from Submit only when
// the transaction is durable; a directory that only the owner may write for the
// socket and the token file.
//
// What it does not do: it does not encrypt, so it listens on loopback addresses
// only; it holds no keys of users and signs nothing; it imports neither the node
// nor the overlay. A request that is not HTTP at all is answered by net/http in
// plain text, before anything of this package sees it.
package api

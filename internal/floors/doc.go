// Package floors knows the order of the house: which package may import which, and which are pure; its test holds the repository to that order.
//
// Check guarantees that
//
//   - every folder with Go code stands in the table of house.go, so that a new
//     one is placed by decision;
//   - a package imports lower floors and its own top-level folder, nothing
//     above and nothing beside;
//   - a pure package starts no goroutine, reads no clock, draws no randomness
//     of its own, logs nothing, shares no memory, touches no network and no
//     file, and imports only pure packages of ours;
//   - only those that the table names import what is reserved (the pubsub
//     router), and nothing imports package testing.
//
// It does not look into test files, which may use whatever they need to judge
// the code, nor into generated packages for purity. Folders under internal may
// be imported by all and import nothing of the house. It reads source, not
// types: a function of another module that sleeps is not found, and map order
// is left to the replay tests.
package floors

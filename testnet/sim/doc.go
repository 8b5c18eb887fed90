// Package sim is world sim: whole nodes over a simulated network in virtual time.
//
// It guarantees that latencies are virtual and those of the model of the links,
// rounded up to half a millisecond where they are long; that a delivery is counted only when the receiving node told its own observer;
// that every byte that leaves a host is metered, 28 bytes of headers added to
// each packet; and that nothing but the report reaches the caller: the run is a
// process of its own, which ends with the caller's context.
//
// It needs of the program that calls Run to call Child first thing in main,
// and of the machine the memory that Run estimates before it begins.
//
// It does not repeat a run bit by bit: the order of goroutines is the machine's.
// Processor time costs no virtual time unless the scenario charges for it.
package sim

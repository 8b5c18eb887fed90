// Package report is the one form in which a testnet run says what it measured.
//
// It guarantees that every key is always written, in one order, so that two
// reports can be compared line by line: what a run did not measure is null,
// and a measured zero is 0. Percentiles are nearest-rank over the samples
// themselves, never interpolated; over more than [MaxSamples] of them a
// uniform sample is kept.
//
// It needs of the caller that figures are what receivers saw, not what senders
// meant to send.
//
// It does not measure, and it does not judge: a run's broken promises come in
// as sentences in FailedExpectations.
package report

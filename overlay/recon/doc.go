// Package recon finds the difference of two sets in a number of bytes that grows with the difference only.
package recon

package scenario

// Kinds are the attackers that a scenario can name, one rule broken each.
func Kinds() []string {
	return []string{
		"silent",        // takes part and never forwards
		"withholder",    // announces and never sends
		"spammer",       // sends transactions with invalid signatures
		"valid-spam",    // sends more valid transactions, at the fee floor, than blocks can take
		"replayer",      // sends what was confirmed or refused long ago
		"duplicates",    // sends the same message again and again
		"oversize",      // sends messages over the limits
		"control-flood", // floods with control messages; which one is a param
		"equivocator",   // produces two blocks for one slot
		"cold-boot",     // Sybils that are there before the honest nodes
		"covert-flash",  // Sybils that behave until they all turn at once
		"eclipse",       // Sybils around one victim
		"censor",        // Sybils that drop what one origin sends
		"slow-reader",   // takes what is sent to it very slowly
		"lying-sync",    // answers questions about the chain with lies

		"tampered-list",    // passes on blocks with wrong lists of short ids
		"bodiless",         // produces headers without bodies
		"block-withholder", // says to have bodies and keeps them back
		"bad-chunks",       // sends chunks that do not prove
		"header-flood",     // sends headers without being a producer
	}
}

// Produces says whether attackers of this kind need turns to make blocks in.
func (a Attacker) Produces() bool { return a.Kind == "equivocator" || a.Kind == "bodiless" }

package recon

import (
	"cmp"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

// listDone tells the peer's ids from ours.
func (i *Initiator) listDone(now time.Time, s *Scan) {
	var lacking []wire.TxID
	for j, id := range i.listed {
		if !s.shared[j] {
			lacking = append(lacking, id)
		}
	}
	compared := Compared{Theirs: len(lacking), Ours: s.size - (len(i.listed) - len(lacking))}
	moved := i.total - i.theirs // of the peer's set, since its symbols
	changed := len(i.journal) + max(moved, -moved)
	// A small pool may have been turned over by a block or two, which its size does not show;
	// and to have had it listed costs little.
	if i.total > Live && i.guess > maxGuess*(compared.Theirs+compared.Ours+changed)+guessMargin {
		i.close(Undecodable) // so many differences there are not: the symbols were none
		return
	}
	i.actions = append(i.actions, compared)
	if len(lacking) > 0 {
		var told []wire.TxID
		told, i.learnedTo = portion(lacking, i.learnedTo, compareIDs)
		i.actions = append(i.actions, Learned{told})
		shorts := make([]Short, len(told))
		for j, id := range told {
			shorts[j] = i.key.Short(id)
		}
		i.again = i.hope(shorts, len(lacking))
	} else {
		i.vain = 0
	}
	i.tell(now, nil, s.found)
}

// portion is what one exchange tells of all that differs, and where it ends. If that is more than
// one exchange tells, all is in order, and the portion is what follows last, the end of the one
// before. Were it the same each time, many that nobody takes would keep back the rest.
func portion[T any](all []T, last T, compare func(a, b T) int) (told []T, end T) {
	if len(all) <= maxTold {
		return all, last
	}
	from := after(all, last, compare)
	told = append(make([]T, 0, maxTold), all[from:min(len(all), from+maxTold)]...)
	told = append(told, all[:maxTold-len(told)]...)
	return told, told[maxTold-1]
}

// hope takes note of what an exchange tells us of all that we lack, and says whether the next is
// to be soon: unless all of it was told maxVain times, and nothing of that entered our set.
func (i *Initiator) hope(told []Short, all int) (soon bool) {
	i.vain += len(told)
	i.hopes = set(told)
	return i.vain <= maxVain*all
}

// offer says the same of what the peer lacks. What it took of that shows when it lacks less.
func (i *Initiator) offer(told, all int) (soon bool) {
	if all < i.extra {
		i.offered = 0
	}
	i.extra = all
	i.offered += told
	return told < all && i.offered <= maxVain*all
}

// after is where in all, which is in order, what follows last begins.
func after[T any](all []T, last T, compare func(a, b T) int) int {
	at, found := slices.BinarySearchFunc(all, last, compare)
	if found {
		at++
	}
	return at
}

// linger gives gossip its time to bring what differs, unless there is much of it.
func (i *Initiator) linger(now time.Time) {
	if i.hasty || i.config.Grace == 0 || i.peeler.Len() > Live {
		i.resolve(now)
		return
	}
	i.phase, i.until = lingers, now.Add(i.config.Grace)
}

// resolve finds the ids of what only we have.
func (i *Initiator) resolve(now time.Time) {
	if ids, ok := i.recent.find(i.diff.Ours); ok {
		i.compared(now, ids)
		return
	}
	i.phase = looksAround
	i.start(&Scan{key: i.key, want: set(i.diff.Ours)})
}

// compared takes out what came in meanwhile, reports, and tells the rest.
func (i *Initiator) compared(now time.Time, ours []wire.TxID) {
	came := i.changed(1)
	i.diff.Theirs = slices.DeleteFunc(i.diff.Theirs, func(s Short) bool { return came[s] })
	if len(i.diff.Theirs) == 0 {
		i.vain = 0
	}
	i.actions = append(i.actions, Compared{Theirs: len(i.diff.Theirs), Ours: len(i.diff.Ours)})
	i.tell(now, i.diff.Theirs, ours)
}

func (i *Initiator) resolved(now time.Time, s *Scan) {
	missing := set(i.diff.Ours)
	for _, id := range s.found {
		delete(missing, i.key.Short(id))
	}
	for short := range i.changed(-1) {
		delete(missing, short)
	}
	if len(missing) > 0 {
		i.close(Invented)
		return
	}
	i.compared(now, s.found)
}

// tell asks for ids, offers ids, and ends our part of the exchange.
func (i *Initiator) tell(now time.Time, needs []Short, offers []wire.TxID) {
	if len(needs)+len(offers) > MaxSmall && !i.hold(now) {
		i.later(now)
		return
	}
	lacking, extra := len(needs), len(offers)
	needs, i.neededTo = portion(needs, i.neededTo, cmp.Compare[Short])
	offers, i.offeredTo = portion(offers, i.offeredTo, compareIDs)
	if len(needs) > 0 {
		i.fresh = i.hope(needs, lacking)
	}
	if len(offers) > 0 {
		i.again = i.offer(len(offers), extra) || i.again
	}
	for chunk := range slices.Chunk(needs, MaxNeeds) {
		i.send(Need{chunk})
	}
	i.needs, i.told = set(needs), len(needs)
	i.sendIDs(offers)
	i.send(Done{})
	i.await(now, told)
}

// ids takes ids that were needed. That they have the short ids asked for is sure
// before anything is done with them.
func (i *Initiator) ids(now time.Time, f IDs) {
	for _, id := range f.IDs {
		short := i.key.Short(id)
		if _, ok := i.needs[short]; !ok {
			i.close(NotAsked)
			return
		}
		delete(i.needs, short)
	}
	i.actions = append(i.actions, Learned(f))
	i.await(now, told)
}

func (i *Initiator) done(now time.Time) {
	if len(i.needs) > withheldMargin+i.told/2 {
		i.close(Withheld)
		return
	}
	i.rest(now, i.fresh && i.told > len(i.needs))
}

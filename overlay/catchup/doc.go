// Package catchup decides which headers and blocks to ask of which peers, so that
// a node behind the chain catches up with it whatever most of them do.
//
// A [Scheduler] is told which peers there are and how high their chains are known
// to be, and what came of each request; it answers what to ask of whom, which
// requests to give up, and which blocks to add to the chain. Headers come first:
// they are small, they are signed, and they say how large each block is. Then
// bodies are asked of all peers at once, each for a run of blocks that it should
// give in half a second, the lowest first.
//
// What it guarantees:
//   - A block is asked of one peer at a time, and never again once it came.
//   - Blocks that were asked for and are not in the chain yet never exceed
//     [Config.WindowBytes] and [Config.WindowBlocks]; headers [Config.MaxHeaders].
//   - Blocks are named to be added parents first, each once.
//   - A peer that gives nothing for [Config.Patience] loses the request, and so does
//     one that gives much less than others would. It rests, longer each time; what it
//     gave is kept. A block that one peer did not give is asked of a peer that has
//     given others, if there is any.
//   - A peer that turns a request away, being busy or on another branch, or gives a part
//     of it alone, is asked after those that give all, until it gives all itself. It may be
//     honest, so that it rests no longer for it each time. Where nobody gives all, all are
//     asked in turn.
//   - Peers on different branches are each followed on their own: a branch of which
//     nobody gives the blocks holds up no other.
//
// What it needs of the caller: times that do not run backwards, one goroutine at a
// time, headers whose signatures and turns are checked, bodies that are those of the
// block asked for, and an answer to each block that it names to be added. A call of
// [Scheduler.Tick] is due after every other call, and at the time it returns.
//
// What it does not do: it sends nothing, keeps no bodies and blames nobody, but
// returns as [Fault] what no honest peer can have answered. Lateness proves nothing.
package catchup

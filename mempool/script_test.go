package mempool_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/grapevine-p2p/grapevine/internal/script"
	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

func TestScripts(t *testing.T) {
	script.Run(t, "testdata/*.txt", func() func([]string) string {
		s := &session{now: start, names: make(map[wire.TxID]string), accounts: make(map[string]mempool.Account)}
		s.pool, _ = mempool.New(mempool.DefaultConfig())
		return s.do
	})
}

// session is a pool that obeys the commands of a script. A transaction is
// named after its sender, its nonce and its fee: alice/0/500.
type session struct {
	now      time.Time
	pool     *mempool.Pool
	accounts map[string]mempool.Account
	names    map[wire.TxID]string
}

// transaction makes the transaction of a name; all are of the same size.
func (s *session) transaction(name string, lives time.Duration) (validation.CheckedTx, string) {
	var nonce, fee uint64
	sender, rest, _ := strings.Cut(name, "/")
	fmt.Sscanf(rest, "%d/%d", &nonce, &fee)
	terms := validation.TxTerms{Sender: named(sender), Nonce: nonce, Fee: fee, Spends: fee}
	if lives > 0 {
		terms.ExpiresAt = millis(s.now.Add(lives))
	}
	tx := mintOne(terms)
	s.names[tx.ID()] = name
	return tx, sender
}

func named(account string) (a wire.Address) {
	copy(a[:], account)
	return a
}

func (s *session) show(change mempool.Change, err error) string {
	var out []string
	for _, id := range change.Added {
		out = append(out, "added "+s.names[id])
	}
	for _, r := range change.Removed {
		line := s.names[r.ID] + " " + r.Reason.String()
		if by, ok := s.names[r.By]; ok {
			line += " by " + by
		}
		out = append(out, line)
	}
	if err != nil {
		out = append(out, "refused: "+validation.RuleBroken(err))
	}
	return strings.Join(out, "\n")
}

func (s *session) do(words []string) string {
	switch words[0] {
	case "bounds": // bounds COUNT PER-SENDER WAITING GAP
		c := mempool.DefaultConfig()
		for i, field := range []*int{&c.MaxCount, &c.MaxPerSender, &c.MaxWaiting, &c.MaxNonceGap} {
			*field, _ = strconv.Atoi(words[i+1])
		}
		var err error
		if s.pool, err = mempool.New(c); err != nil {
			return err.Error()
		}
	case "account": // account NAME NONCE BALANCE
		var a mempool.Account
		fmt.Sscan(words[2]+" "+words[3], &a.Nonce, &a.Balance)
		s.accounts[words[1]] = a
	case "add": // add TX [LIFETIME]
		var lives time.Duration
		if len(words) > 2 {
			lives, _ = time.ParseDuration(words[2])
		}
		tx, sender := s.transaction(words[1], lives)
		return s.show(s.pool.Add(s.now, tx, s.accounts[sender], stranger))
	case "settle": // settle ACCOUNT… with TX…: the accounts are as last set
		var touched []mempool.Touched
		var included []wire.TxID
		for _, w := range words[1:] {
			if strings.Contains(w, "/") {
				tx, _ := s.transaction(w, 0)
				included = append(included, tx.ID())
			} else if w != "with" {
				touched = append(touched, mempool.Touched{Address: named(w), Account: s.accounts[w]})
			}
		}
		return s.show(s.pool.Settle(s.now, touched, included), nil)
	case "wait":
		d, _ := time.ParseDuration(words[1])
		s.now = s.now.Add(d)
		change, _ := s.pool.Expire(s.now)
		return s.show(change, nil)
	case "template": // template COUNT
		n, _ := strconv.Atoi(words[1])
		var out []string
		for _, tx := range s.pool.Template(s.now, wire.MaxBlock, n) {
			out = append(out, s.names[tx.ID()])
		}
		return strings.Join(out, " ")
	case "next": // next NAME
		return fmt.Sprint(s.pool.NextNonce(named(words[1]), s.accounts[words[1]].Nonce))
	case "stats":
		st := s.pool.Stats()
		return fmt.Sprintf("%d of %d senders, %d executable, %d waiting", st.Count, st.Senders, st.Executable, st.Waiting)
	default:
		return "no such command"
	}
	return ""
}

package api

import "context"

const enemy = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"

func (f *fake) Scores(ctx context.Context) ([]Score, error) {
	s, err := f.Score(ctx, enemy)
	return []Score{s}, err
}

func (f *fake) Score(ctx context.Context, peer string) (Score, error) {
	if err := f.enter(ctx); err != nil {
		return Score{}, err
	}
	if peer != enemy {
		return Score{}, ErrNotFound
	}
	return Score{Peer: enemy, Score: -40, Tx: -40, Block: -20, Guilt: 20, Terms: []ScoreTerm{{"", "guilt", -20, "proven offences"}, {"tx", "P4", -20, "one"}}}, nil
}

func (f *fake) Bans(ctx context.Context) ([]Ban, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bans, f.err
}

func (f *fake) Ban(_ context.Context, r BanRequest) (Ban, error) {
	if r.Subject != enemy {
		return Ban{}, BadRequest("who is %q", r.Subject)
	}
	b := Ban{Subject: r.Subject, Until: uint64(now.Add(r.For).UnixMilli()), Reason: r.Reason, ByHand: true}
	f.set(func(f *fake) { f.bans = append(f.bans, b) })
	return b, nil
}

func (f *fake) Unban(_ context.Context, subject string) (Ban, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, b := range f.bans {
		if b.Subject == subject {
			f.bans = append(f.bans[:i:i], f.bans[i+1:]...)
			return b, nil
		}
	}
	return Ban{}, ErrNotFound
}

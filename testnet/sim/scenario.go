package sim

import "time"

// Scenario stands in until package scenario has landed.
type Scenario struct {
	Name, Relay   string
	Seed          uint64
	Nodes         int
	Network       Network
	Settle, Drain time.Duration
	Txs           Txs
	Blocks        Blocks
	Start         Start
	Churn         []Churn
	Partitions    []Partition
	Silent        float64
	VerifyCost    time.Duration
}

type Network struct {
	Dials         int
	Latency       Latency
	Classes       []Class
	Loss, Reorder float64
}

type Latency struct {
	Range  [2]time.Duration
	Preset string
	Matrix [][]float64
}

type Class struct {
	Share, UpMbps, DownMbps float64
}

type Txs struct {
	PerSecond float64
	Size      int
	Shapes    string
	For       time.Duration
	Origins   int
}

type Blocks struct {
	Size, TxSize int
	Every        time.Duration
	Count        int
	Pooled       float64
	Producers    int
	Slot         time.Duration
}

type Start struct{ Wave time.Duration }

type Churn struct {
	From, To time.Duration
	Share    float64
	Down     time.Duration
}

type Partition struct {
	From, To time.Duration
	Groups   []float64
}

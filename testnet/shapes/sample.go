package shapes

import (
	"embed"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
)

// Row is what is known of one transaction of a real block.
type Row struct {
	Sender int    // the same number for the same sender, within the sample
	Nonce  uint64 // on the real chain
	Size   int    // bytes of the raw transaction
	Tip    uint64 // effective priority fee, wei per gas
}

// Sample is one real block, in block order.
type Sample struct {
	Name   string
	Source string
	Rows   []Row
}

//go:embed data/*.csv
var data embed.FS

// Mainnet returns the two embedded blocks, the larger first.
func Mainnet() ([]Sample, error) {
	samples := []Sample{
		{Name: "mainnet-eth-19431837", Source: "Ethereum block 19,431,837"},
		{Name: "mainnet-eth-18189758", Source: "Ethereum block 18,189,758"},
	}
	for i, s := range samples {
		f, err := data.Open("data/" + s.Name + ".csv")
		if err != nil {
			return nil, fmt.Errorf("open sample: %w", err)
		}
		samples[i].Rows, err = Parse(f)
		f.Close() // an embedded file
		if err != nil {
			return nil, fmt.Errorf("sample %s: %w", s.Name, err)
		}
	}
	return samples, nil
}

// columns of a sample, in order; a file must have just these.
var columns = []string{"index", "sender", "nonce", "size_bytes", "tip_wei_per_gas"}

// Parse reads a sample in the form of the embedded ones. An error names the
// line and the column.
func Parse(r io.Reader) ([]Row, error) {
	in := csv.NewReader(r)
	in.FieldsPerRecord = len(columns)
	head, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("read header: %w", err)
	}
	if !slices.Equal(head, columns) {
		return nil, fmt.Errorf("columns are %q, want %q", head, columns)
	}
	var rows []Row
	for {
		record, err := in.Read()
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read row: %w", err)
		}
		var field [5]uint64
		for i, text := range record {
			field[i], err = strconv.ParseUint(text, 10, 64)
			if err != nil {
				line, _ := in.FieldPos(i)
				return nil, fmt.Errorf("line %d, column %s: %w", line, columns[i], err)
			}
		}
		if int(field[0]) != len(rows) {
			line, _ := in.FieldPos(0)
			return nil, fmt.Errorf("line %d: index is %d, want %d", line, field[0], len(rows))
		}
		rows = append(rows, Row{Sender: int(field[1]), Nonce: field[2], Size: int(field[3]), Tip: field[4]})
	}
}

// Senders is how many different senders s has.
func (s Sample) Senders() int {
	seen := make(map[int]bool)
	for _, r := range s.Rows {
		seen[r.Sender] = true
	}
	return len(seen)
}

// ranks gives each row the place of its tip among the sample's different
// tips, the lowest being 0.
func (s Sample) ranks() []uint64 {
	var tips []uint64
	for _, r := range s.Rows {
		tips = append(tips, r.Tip)
	}
	slices.Sort(tips)
	tips = slices.Compact(tips)
	ranks := make([]uint64, len(s.Rows))
	for i, r := range s.Rows {
		at, _ := slices.BinarySearch(tips, r.Tip)
		ranks[i] = uint64(at)
	}
	return ranks
}

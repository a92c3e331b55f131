package main

import "fmt"

// Rows of bench/memory/alloc.c.
const liveBytes = 64 << 20

type cell16 struct {
	next  *cell16
	words [1]uint64
}

type cell64 struct {
	next  *cell64
	words [7]uint64
}

type cell256 struct {
	next  *cell256
	words [31]uint64
}

// One table for each kind, of which a run fills one.
var (
	table16  []*cell16
	table64  []*cell64
	table256 []*cell256
)

func fill16() {
	table16 = make([]*cell16, liveBytes/16)
	for i := range table16 {
		table16[i] = new(cell16)
		table16[i].words[0] = uint64(i)
	}
}

func fill64() {
	table64 = make([]*cell64, liveBytes/64)
	for i := range table64 {
		table64[i] = new(cell64)
		table64[i].words[0] = uint64(i)
	}
}

func fill256() {
	table256 = make([]*cell256, liveBytes/256)
	for i := range table256 {
		table256[i] = new(cell256)
		table256[i].words[0] = uint64(i)
	}
}

func alloc16(w *work) {
	var dirty, sum uint64
	w.begin()
	for turn := 0; turn < 2; turn++ {
		for i := 1; i < len(table16); i += 2 {
			made := new(cell16)
			dirty |= made.words[len(made.words)-1]
			made.words[0] = uint64(2 * i)
			table16[i] = made
		}
	}
	w.end()
	for _, c := range table16 {
		sum += c.words[0]
	}
	w.allocated(len(table16), dirty, sum)
}

func alloc64(w *work) {
	var dirty, sum uint64
	w.begin()
	for turn := 0; turn < 2; turn++ {
		for i := 1; i < len(table64); i += 2 {
			made := new(cell64)
			dirty |= made.words[len(made.words)-1]
			made.words[0] = uint64(2 * i)
			table64[i] = made
		}
	}
	w.end()
	for _, c := range table64 {
		sum += c.words[0]
	}
	w.allocated(len(table64), dirty, sum)
}

func alloc256(w *work) {
	var dirty, sum uint64
	w.begin()
	for turn := 0; turn < 2; turn++ {
		for i := 1; i < len(table256); i += 2 {
			made := new(cell256)
			dirty |= made.words[len(made.words)-1]
			made.words[0] = uint64(2 * i)
			table256[i] = made
		}
	}
	w.end()
	for _, c := range table256 {
		sum += c.words[0]
	}
	w.allocated(len(table256), dirty, sum)
}

func (w *work) allocated(count int, dirty, sum uint64) {
	w.ops += int64(count)
	w.check = fmt.Sprintf("live=%d dirty=%d sum=%d", count, dirty, sum)
}

package main

import (
	"fmt"
	"math"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

// The row of bench/memory/hold.c.
const (
	largeDepth = 23
	holders    = 10000
	holdMin    = 250000000 // ns
	holdSpan   = 500000000
)

type large struct {
	left, right *large
	words       [6]uint64
}

var largeTree *large

func buildLarge(depth int) *large {
	if depth == 0 {
		return &large{}
	}
	return &large{left: buildLarge(depth - 1), right: buildLarge(depth - 1)}
}

func (n *large) count() int64 {
	if n.left == nil {
		return 1
	}
	return 1 + n.left.count() + n.right.count()
}

// worstStop is the longest stop of the world by the collector since the program began, as the runtime tells it: in
// buckets, of which the lower bound is taken.
func worstStop() float64 {
	const current, before = "/sched/pauses/total/gc:seconds", "/gc/pauses:seconds" // the second until Go 1.21
	for _, name := range []string{current, before} {
		asked := []metrics.Sample{{Name: name}}
		metrics.Read(asked)
		if asked[0].Value.Kind() != metrics.KindFloat64Histogram {
			continue
		}
		worst, pauses := 0.0, asked[0].Value.Float64Histogram()
		for i, count := range pauses.Counts {
			if low := pauses.Buckets[i]; count > 0 && !math.IsInf(low, -1) {
				worst = low
			}
		}
		return worst * 1e9
	}
	return 0
}

func gcHold(w *work) {
	largeTree = buildLarge(largeDepth)
	var stop int32
	var sum int64
	var join sync.WaitGroup
	join.Add(holders)
	for i := 0; i < holders; i++ {
		go func(number uint64) {
			x := (number + 1) * 0x9e3779b97f4a7c15
			mine := &large{}
			mine.words[0] = number
			for atomic.LoadInt32(&stop) == 0 {
				x ^= x << 13
				x ^= x >> 7
				x ^= x << 17
				time.Sleep(time.Duration(holdMin + x%holdSpan))
				next := &large{}
				next.words[0] = mine.words[0]
				mine = next
			}
			atomic.AddInt64(&sum, int64(mine.words[0]))
			join.Done()
		}(uint64(i))
	}
	w.begin()
	for w.ops == 0 || time.Since(w.wallFrom).Seconds() < w.seconds {
		runtime.GC()
		w.ops++
	}
	w.end()
	w.ns = worstStop()
	atomic.StoreInt32(&stop, 1)
	join.Wait()
	w.check = fmt.Sprintf("goroutines=%d nodes=%d sum=%d", holders, largeTree.count(), sum)
}

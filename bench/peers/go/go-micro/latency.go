package main

import (
	"fmt"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// sched-latency: how late a goroutine runs that a timer has woken, while others compute in bursts and one
// computes all the time. Fixed work out of seeded sequences, step for step that of bench/micro/latency.c.
const (
	sleepers    = 1000
	warmup      = 4 // rounds that are not recorded
	roundsMin   = 8
	sleepMin    = 1000000 // ns
	sleepSpan   = 44000000
	burstMin    = 512 // steps of the sequence
	burstSpan   = 12288
	chunk       = 4096
	calibration = 50000 // steps: 0.1 ms
	meanRound   = 23    // ms
)

// xorshift64: each step needs the one before it.
func compute(x uint64, steps int) uint64 {
	for ; steps > 0; steps-- {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

var kept uint64 // results that nobody asks for: their steps cannot be left out

// stepNs is what a step takes on a core of its own: the least of many.
func stepNs() float64 {
	least := time.Duration(1 << 62)
	for i := 0; i < 100; i++ {
		from := time.Now()
		atomic.StoreUint64(&kept, compute(atomic.LoadUint64(&kept)|1, calibration)) // not known beforehand
		if took := time.Since(from); took < least {
			least = took
		}
	}
	return float64(least) / calibration
}

func schedLatency(long time.Duration) result {
	rounds := int(long.Round(time.Millisecond).Milliseconds()) / meanRound
	if rounds < roundsMin {
		rounds = roundsMin
	}
	lateness := make([]int64, sleepers*rounds)
	ends := make([]uint64, sleepers)
	alone := stepNs()
	var stop int32
	var steps int64
	var join, computing sync.WaitGroup
	join.Add(sleepers)
	computing.Add(1)
	from := time.Now()
	for i := 0; i < sleepers; i++ {
		i := i
		go func() {
			mine := lateness[i*rounds : (i+1)*rounds]
			x := uint64(i+1) * 0x9e3779b97f4a7c15
			for round := -warmup; round < rounds; round++ {
				x = compute(x, 1)
				ns := time.Duration(sleepMin + x%sleepSpan)
				begin := time.Now()
				time.Sleep(ns)
				late := time.Since(begin) - ns
				if round >= 0 && late > 0 {
					mine[round] = int64(late)
				}
				x = compute(x, burstMin+int(x>>40%burstSpan))
			}
			ends[i] = x
			join.Done()
		}()
	}
	go func() {
		x := uint64(1)
		for done := int64(0); atomic.LoadInt32(&stop) == 0; {
			x = compute(x, chunk)
			done += chunk
			atomic.StoreInt64(&steps, done)
		}
		atomic.StoreUint64(&kept, x)
		computing.Done()
	}()
	join.Wait()
	took := time.Since(from)
	share := 100 * alone * float64(atomic.LoadInt64(&steps)) / float64(took)
	atomic.StoreInt32(&stop, 1)
	computing.Wait()

	var sum uint64
	for _, end := range ends {
		sum += end
	}
	var total time.Duration
	for _, late := range lateness {
		total += time.Duration(late)
	}
	sort.Slice(lateness, func(a, b int) bool { return lateness[a] < lateness[b] })
	return result{
		ops: len(lateness), timed: total, sorted: lateness, share: share,
		check: fmt.Sprintf("goroutines=%d rounds=%d sum=%d", sleepers, rounds, sum),
	}
}

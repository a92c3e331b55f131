package main

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// As weft's: bench/micro/map.c says what the rows are about.
const (
	keys    = 1000000
	worstOf = 10000000
	times   = 3
)

func mixed(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func filledMap() map[uint64]uint64 {
	m := make(map[uint64]uint64)
	for i := uint64(0); i < keys; i++ {
		m[mixed(i)] = i
	}
	return m
}

func mapInsert() result {
	return result{ops: keys, check: fmt.Sprintf("keys=%d len=%d", keys, len(filledMap()))}
}

var filled map[uint64]uint64

func mapLookUp(first uint64) result {
	if filled == nil {
		filled = filledMap()
	}
	var sum uint64
	found := 0
	from := time.Now()
	for i := first; i < first+keys; i++ {
		value, ok := filled[mixed(i)]
		if ok {
			found++
		}
		sum += value
	}
	timed := time.Since(from)
	return result{ops: keys, timed: timed, check: fmt.Sprintf("keys=%d found=%d sum=%d", keys, found, sum)}
}

func fillAndTime(least []time.Duration) int {
	m := make(map[uint64]uint64)
	from := time.Now()
	for i := range least {
		m[mixed(uint64(i))] = uint64(i)
		if took := time.Since(from); took < least[i] {
			least[i] = took
		}
		from = time.Now()
	}
	return len(m)
}

func mapWorst() result {
	least := make([]time.Duration, worstOf)
	for i := range least {
		least[i] = math.MaxInt64
	}
	count := 0
	for i := 0; i < times; i++ {
		count += fillAndTime(least)
	}
	worst := time.Duration(0)
	for _, one := range least {
		if one > worst {
			worst = one
		}
	}
	return result{ops: 1, timed: worst, check: fmt.Sprintf("keys=%d times=%d len=%d", worstOf, times, count)}
}

// Of the map that several goroutines use at once.
const (
	syncTasks     = 2
	syncKeys      = 100000
	syncTurns     = 100000
	turnsPerStore = 10
)

var filledSync *sync.Map

func inAllTasks(task func(which uint64)) {
	var join sync.WaitGroup
	join.Add(syncTasks)
	for i := uint64(0); i < syncTasks; i++ {
		go func(which uint64) {
			task(which)
			join.Done()
		}(i)
	}
	join.Wait()
}

func mapSyncLoad() result {
	if filledSync == nil {
		filledSync = new(sync.Map)
		for i := uint64(0); i < syncKeys; i++ {
			filledSync.Store(mixed(i), i)
		}
	}
	var found, sum uint64
	from := time.Now()
	inAllTasks(func(which uint64) {
		state, seen, added := which, uint64(0), uint64(0)
		for i := 0; i < syncTurns; i++ {
			state = state*6364136223846793005 + 1442695040888963407
			n := (state >> 33) % syncKeys
			if i%turnsPerStore == 0 {
				filledSync.Store(mixed(n), n)
				continue
			}
			value, ok := filledSync.Load(mixed(n))
			if ok {
				seen++
				added += value.(uint64)
			}
		}
		atomic.AddUint64(&found, seen)
		atomic.AddUint64(&sum, added)
	})
	timed := time.Since(from)
	return result{ops: syncTasks * syncTurns, timed: timed, check: fmt.Sprintf("keys=%d found=%d sum=%d", syncKeys, found, sum)}
}

// It has no length: what is in it is counted, and not timed.
func mapSyncStore() result {
	var m sync.Map
	from := time.Now()
	inAllTasks(func(which uint64) {
		for i := which; i < syncKeys; i += syncTasks {
			m.Store(mixed(i), i)
		}
	})
	timed := time.Since(from)
	count := 0
	m.Range(func(any, any) bool {
		count++
		return true
	})
	return result{ops: syncKeys, timed: timed, check: fmt.Sprintf("keys=%d len=%d", syncKeys, count)}
}

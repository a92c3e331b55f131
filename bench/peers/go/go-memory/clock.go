package main

import (
	"os"
	"strings"
	"time"
)

// The clock of single operations: the time-stamp counter where the kernel trusts it, as in bench/memory, else time.Now.
var (
	counted   bool
	nsPerTick float64
	epoch     = time.Now()
)

func calibrate() {
	source, _ := os.ReadFile("/sys/devices/system/clocksource/clocksource0/current_clocksource")
	if !hasCounter || strings.TrimSpace(string(source)) != "tsc" {
		return
	}
	from, ticks := time.Now(), counter()
	time.Sleep(20 * time.Millisecond)
	nsPerTick = float64(time.Since(from)) / float64(counter()-ticks)
	counted = true
}

func now() uint64 {
	if counted {
		return counter()
	}
	return uint64(time.Since(epoch))
}

// since is the time from a reading of now, in ns.
func since(from uint64) uint64 {
	if counted {
		return uint64(float64(int64(counter()-from)) * nsPerTick)
	}
	return uint64(time.Since(epoch)) - from
}

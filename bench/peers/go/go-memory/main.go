// go-memory: the rows about memory in Go, one file for the frame and one for each kind of row. What each is about is said in
// bench/memory, whose programs do the same step for step.
package main

import (
	"flag"
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"weft/bench/peers/server"
)

// work is what a row is given and leaves: what it was asked to take, how much it did in what time, and what proves it.
type work struct {
	seconds   float64
	ops       int64
	wall, cpu time.Duration // of all that was timed so far
	wallFrom  time.Time
	cpuFrom   time.Duration
	check     string
	latencies *histogram
	plain     time.Duration // the same work without what the row asks about
	ns        float64       // a figure of its own, in place of a mean
}

// Of a row's time, ns_per_op is made of the CPU time of all threads where byCPU is set, else of the wall's.
type row struct {
	name    string
	prepare func()
	run     func(*work)
	once    bool
	byCPU   bool
}

var rows = []row{
	{"alloc-16", fill16, alloc16, false, true},
	{"alloc-64", fill64, alloc64, false, true},
	{"alloc-256", fill256, alloc256, false, true},
	{"binary-trees-16", nil, func(w *work) { binaryTrees(w, 16) }, true, true},
	{"binary-trees-18", nil, func(w *work) { binaryTrees(w, 18) }, true, true},
	{"ring-push", fillRing, ringPush, true, false},
	{"map-push", fillMap, mapPush, true, false},
	{"gc-hold", nil, gcHold, true, false},
	{"mark-tree", nil, markTree, true, true},
	{"mark-lists", nil, markLists, true, true},
	{"mark-poor", nil, markPoor, true, true},
	{"set-idle", fillSlots, setIdle, false, false},
}

func processTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// begin and end stand around what is measured.
func (w *work) begin() {
	w.cpuFrom, w.wallFrom = processTime(), time.Now()
}

func (w *work) end() {
	w.wall += time.Since(w.wallFrom)
	w.cpu += processTime() - w.cpuFrom
}

// count is what such a row makes of --seconds: so many operations.
func (w *work) count(perSecond, least int64) int64 {
	n := int64(w.seconds*1000+0.5) * perSecond / 1000
	if n < least {
		n = least
	}
	return n
}

// peakRSS is the most that was resident at once, in bytes; 0 where /proc does not say.
func peakRSS() int64 {
	var kib int64
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if n, _ := fmt.Sscanf(line, "VmHWM: %d", &kib); n == 1 {
			break
		}
	}
	return kib * 1024
}

// histogram has buckets of at most 1/128 of their values, in ns; the maximum is exact. Its memory holds no pointers.
type histogram struct {
	counts             [57 << 7]uint32
	samples, sum, peak uint64
}

func (h *histogram) record(ns uint64) {
	shift := bits.Len64(ns|255) - 8
	h.counts[uint64(shift)<<7+ns>>shift]++
	h.samples++
	h.sum += ns
	if ns > h.peak {
		h.peak = ns
	}
}

// String is the buckets as [ns, count], each by its end, the last by the maximum.
func (h *histogram) String() string {
	var pairs []string
	left := h.samples
	for i, count := range h.counts {
		if count == 0 {
			continue
		}
		end, shift := uint64(i), 0
		if i >= 256 {
			shift = i>>7 - 1
			end = (uint64(i)-uint64(shift)<<7+1)<<shift - 1
		}
		if left -= uint64(count); left == 0 {
			end = h.peak
		}
		pairs = append(pairs, fmt.Sprintf("[%d,%d]", end, count))
	}
	return "[" + strings.Join(pairs, ",") + "]"
}

func main() {
	procs := flag.Int("procs", 1, "GOMAXPROCS")
	seconds := flag.Float64("seconds", 1, "how long to measure")
	list := flag.Bool("list", false, "print the names of the rows")
	version := flag.Bool("version", false, "print the version")
	// The row comes first, the options after it.
	args := os.Args[1:]
	var name string
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		name, args = args[0], args[1:]
	}
	flag.CommandLine.Parse(args)
	if *version {
		fmt.Println("go", runtime.Version())
		return
	}
	if *list {
		for _, r := range rows {
			fmt.Println(r.name)
		}
		return
	}
	if flag.NArg() > 0 || *procs < 1 || !(*seconds > 0) {
		server.Usage("usage: go-memory ROW --procs N --seconds S | --list | --version")
	}
	for _, r := range rows {
		if r.name == name {
			runtime.GOMAXPROCS(*procs)
			measure(r, *procs, *seconds)
			return
		}
	}
	server.Usage("go-memory: no such row: '%s'", name)
}

func runRow(r row, seconds float64) *work {
	w := &work{seconds: seconds}
	if r.prepare != nil {
		r.prepare()
	}
	if r.once {
		r.run(w)
		return w
	}
	r.run(new(work)) // not counted
	for w.ops == 0 || w.wall.Seconds() < seconds {
		r.run(w)
	}
	return w
}

func measure(r row, procs int, seconds float64) {
	calibrate()
	w := runRow(r, seconds)
	ns, more := w.ns, ""
	switch {
	case ns > 0:
	case w.latencies != nil:
		ns = float64(w.latencies.sum) / float64(w.latencies.samples)
	case r.byCPU:
		ns = float64(w.cpu) / float64(w.ops)
	default:
		ns = float64(w.wall) / float64(w.ops)
	}
	if w.plain > 0 {
		more += fmt.Sprintf(",\"plain_ns\":%.3f", float64(w.plain)/float64(w.ops))
	}
	if w.latencies != nil {
		more += fmt.Sprintf(",\"histogram\":%v", w.latencies)
	}
	fmt.Printf("{\"row\":\"%s\",\"procs\":%d,\"ns_per_op\":%.3f,\"ops\":%d,\"check\":\"%s\",\"bytes_per_op\":null,"+
		"\"wall_s\":%.6f,\"cpu_s\":%.6f,\"rss\":%d%s}\n", r.name, procs, ns, w.ops, w.check, w.wall.Seconds(),
		w.cpu.Seconds(), peakRSS(), more)
}

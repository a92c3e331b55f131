// go-micro: the micro rows in Go, one file for the frame, one for the rows, and one for the row that is a
// program of its own.
package main

import (
	"flag"
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"strings"
	"time"

	"weft/bench/peers/server"
)

// A row runs one batch and says how many operations it was and what proves its work. A row that has
// more to say than its wall time (set-up that is not timed, memory) says it in the result.
type result struct {
	ops   int
	check string
	timed time.Duration // 0: the whole batch
	bytes float64       // for each operation; 0: not measured
	// Of a row about a distribution: its samples in ns, from the least; and the percentage of a core that a
	// computing goroutine had meanwhile.
	sorted []int64
	share  float64
}

type row struct {
	name string
	run  func() result
	once bool // one batch is one measurement: no warm-up, no repetition
	// In place of run, for a row of two cores: one batch that is asked to take so long.
	lasting func(long time.Duration) result
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
		server.Usage("usage: go-micro ROW --procs N --seconds S | --list | --version")
	}
	for _, r := range rows {
		if r.name == name {
			if r.lasting != nil && *procs < 2 {
				server.Usage("go-micro: this row needs two cores, --procs 2: '%s'", name)
			}
			runtime.GOMAXPROCS(*procs)
			measure(r, *procs, time.Duration(*seconds*float64(time.Second)))
			return
		}
	}
	server.Usage("go-micro: no such row: '%s'", name)
}

func measure(r row, procs int, long time.Duration) {
	var ops int
	var spent time.Duration
	var last result
	if r.lasting != nil {
		r.once, r.run = true, func() result { return r.lasting(long) }
	}
	if !r.once {
		r.run() // warms caches and stacks; not counted
	}
	for begin := time.Now(); ops == 0 || time.Since(begin) < long && !r.once; {
		from := time.Now()
		last = r.run()
		if last.timed == 0 {
			last.timed = time.Since(from)
		}
		spent += last.timed
		ops += last.ops
	}
	memory := "null"
	if last.bytes != 0 {
		memory = fmt.Sprintf("%.1f", last.bytes)
	}
	fmt.Printf("{\"row\":\"%s\",\"procs\":%d,\"ns_per_op\":%.3f,\"ops\":%d,\"check\":\"%s\",\"bytes_per_op\":%s%s}\n",
		r.name, procs, float64(spent.Nanoseconds())/float64(ops), ops, last.check, memory, distribution(last))
}

// distribution is empty for a row about a mean. Buckets are [ns, count], each by its end and at most 1/128
// wide; the last by the maximum itself.
func distribution(r result) string {
	if r.sorted == nil {
		return ""
	}
	var pairs []string
	for i, n := 0, 0; i < len(r.sorted); i = n {
		end := r.sorted[i] | (1<<(bits.Len64(uint64(r.sorted[i])|255)-8) - 1)
		for n = i; n < len(r.sorted) && r.sorted[n] <= end; n++ {
		}
		if n == len(r.sorted) {
			end = r.sorted[n-1]
		}
		pairs = append(pairs, fmt.Sprintf("[%d,%d]", end, n-i))
	}
	return fmt.Sprintf(",\"share\":%.1f,\"histogram\":[%s]", r.share, strings.Join(pairs, ","))
}

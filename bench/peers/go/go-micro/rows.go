package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"weft/bench/peers/server"
)

// Sizes of a batch, the same in every peer: they are part of what the checks prove.
const (
	batch    = 1000
	singles  = 10000
	yields   = 100000 // of all tasks together
	trips    = 10000
	elements = 100000
	locks    = 100000
	capacity = 128
	pending  = 100000
	pairs    = 10000
	resets   = 10000
	calls    = 100000
	panics   = 10000
)

var rows = []row{
	{name: "spawn-batch", run: spawnBatch},
	{name: "spawn-one", run: spawnOne},
	{name: "spawn-park", run: spawnPark},
	{name: "fork-join", run: forkJoin},
	{name: "yield-2", run: func() result { return yield(2) }},
	{name: "yield-1000", run: func() result { return yield(1000) }},
	{name: "ping-pong", run: pingPong},
	{name: "chan-spsc", run: spsc},
	{name: "chan-mpmc", run: mpmc},
	{name: "select-2", run: select2},
	{name: "chan-try", run: tryBoth},
	{name: "mutex", run: mutex},
	{name: "mutex-contended", run: mutexContended},
	{name: "rwmutex-read", run: rwmutexRead},
	{name: "once", run: once},
	{name: "assert", run: assert},
	{name: "semaphore", run: semaphore},
	{name: "defer", run: deferring},
	{name: "protect", run: protect},
	{name: "panic", run: panicking},
	{name: "timer", run: timer},
	{name: "timer-reset", run: timerReset},
	{name: "map-insert", run: mapInsert},
	{name: "map-hit", run: func() result { return mapLookUp(0) }},
	{name: "map-miss", run: func() result { return mapLookUp(keys) }},
	{name: "map-worst", run: mapWorst, once: true},
	{name: "map-sync-load", run: mapSyncLoad},
	{name: "map-sync-store", run: mapSyncStore},
	{name: "pool-get-put", run: poolGetPut},
	{name: "json-decode", run: jsonDecode},
	{name: "json-encode", run: jsonEncode},
	{name: "sched-latency", lasting: schedLatency},
	{name: "park-100k", run: func() result { return park(100000) }, once: true},
	{name: "park-1m", run: func() result { return park(1000000) }, once: true},
}

func spawnBatch() result {
	var done int64
	var join sync.WaitGroup
	join.Add(batch)
	for i := 0; i < batch; i++ {
		go func() {
			atomic.AddInt64(&done, 1)
			join.Done()
		}()
	}
	join.Wait()
	return result{ops: batch, check: fmt.Sprintf("tasks=%d done=%d", batch, done)}
}

// A wait group is the cheapest way to wait for one goroutine; a channel costs about a tenth more.
func spawnOne() result {
	var done int64
	var join sync.WaitGroup
	for i := 0; i < singles; i++ {
		join.Add(1)
		go func() {
			done++
			join.Done()
		}()
		join.Wait()
	}
	return result{ops: singles, check: fmt.Sprintf("tasks=%d done=%d", singles, done)}
}

// Each goroutine parks in a receive from one channel, and the spawner wakes them all by closing it:
// cheaper than a channel or a send for each, and what Go programs do. The batch is woken once all have
// come to the receive.
func spawnPark() result {
	var parked, done int64
	var ready, join sync.WaitGroup
	gate := make(chan struct{})
	ready.Add(batch)
	join.Add(batch)
	for i := 0; i < batch; i++ {
		go func() {
			atomic.AddInt64(&parked, 1)
			ready.Done()
			<-gate
			atomic.AddInt64(&done, 1)
			join.Done()
		}()
	}
	ready.Wait()
	close(gate)
	join.Wait()
	return result{ops: batch, check: fmt.Sprintf("tasks=%d parked=%d done=%d", batch, parked, done)}
}

// An inner node starts a goroutine for its left child, does the right one itself, and joins. A channel
// for each node costs as much as a wait group does.
func forkJoin() result {
	const depth = 20
	return result{ops: 1 << depth, check: fmt.Sprintf("leaves=%d sum=%d", 1<<depth, sumOf(0, depth))}
}

func sumOf(node, depth int) int {
	if depth == 0 {
		return node
	}
	var left int
	var joined sync.WaitGroup
	joined.Add(1)
	go func() {
		left = sumOf(2*node, depth-1)
		joined.Done()
	}()
	right := sumOf(2*node+1, depth-1)
	joined.Wait()
	return left + right
}

func yield(tasks int) result {
	var yielded int64
	var join sync.WaitGroup
	join.Add(tasks)
	for i := 0; i < tasks; i++ {
		go func() {
			n := yields / tasks
			for j := 0; j < n; j++ {
				runtime.Gosched()
			}
			atomic.AddInt64(&yielded, int64(n))
			join.Done()
		}()
	}
	join.Wait()
	return result{ops: yields, check: fmt.Sprintf("tasks=%d yields=%d", tasks, yielded)}
}

func pingPong() result {
	ping, pong := make(chan int), make(chan int)
	go func() {
		for v := range ping {
			pong <- v
		}
	}()
	sum := 0
	for i := 0; i < trips; i++ {
		ping <- i
		sum += <-pong
	}
	close(ping)
	return result{ops: trips, check: fmt.Sprintf("trips=%d sum=%d", trips, sum)}
}

func spsc() result {
	c := make(chan int, capacity)
	go func() {
		for i := 1; i <= elements; i++ {
			c <- i
		}
		close(c)
	}()
	sum := 0
	for v := range c {
		sum += v
	}
	return result{ops: elements, check: fmt.Sprintf("elements=%d sum=%d", elements, sum)}
}

func tryBoth() result {
	c := make(chan int, capacity)
	n, sum := 0, 0
	for i := 1; i <= elements; i++ {
		select {
		case c <- i:
		default:
			continue
		}
		select {
		case v := <-c:
			n++
			sum += v
		default:
		}
	}
	return result{ops: 2 * elements, check: fmt.Sprintf("elements=%d sum=%d", n, sum)}
}

func mpmc() result {
	const each = 4
	c := make(chan int, capacity)
	var senders, receivers sync.WaitGroup
	var count, sum int64
	senders.Add(each)
	receivers.Add(each)
	for s := 0; s < each; s++ {
		s := s
		go func() {
			for i := s + 1; i <= elements; i += each {
				c <- i
			}
			senders.Done()
		}()
		go func() {
			var n, mine int64
			for v := range c {
				mine += int64(v)
				n++
			}
			atomic.AddInt64(&count, n)
			atomic.AddInt64(&sum, mine)
			receivers.Done()
		}()
	}
	senders.Wait()
	close(c)
	receivers.Wait()
	return result{ops: elements, check: fmt.Sprintf("elements=%d sum=%d", count, sum)}
}

func select2() result {
	a, b := make(chan int), make(chan int)
	send := func(c chan<- int) {
		for i := 1; i <= elements/2; i++ {
			c <- i
		}
	}
	go send(a)
	go send(b)
	sum := 0
	for i := 0; i < elements; i++ {
		select {
		case v := <-a:
			sum += v
		case v := <-b:
			sum += v
		}
	}
	return result{ops: elements, check: fmt.Sprintf("elements=%d sum=%d", elements, sum)}
}

func mutex() result {
	var m sync.Mutex
	count := 0
	for i := 0; i < locks; i++ {
		m.Lock()
		count++
		m.Unlock()
	}
	return result{ops: locks, check: fmt.Sprintf("locks=%d count=%d", locks, count)}
}

func mutexContended() result {
	const tasks = 4
	var m sync.Mutex
	var join sync.WaitGroup
	count := 0
	join.Add(tasks)
	for i := 0; i < tasks; i++ {
		go func() {
			for j := 0; j < locks/tasks; j++ {
				m.Lock()
				count++
				m.Unlock()
			}
			join.Done()
		}()
	}
	join.Wait()
	return result{ops: locks, check: fmt.Sprintf("locks=%d count=%d", locks, count)}
}

// One turn in so many writes.
func rwmutexRead() result {
	const readers, turnsPerWrite = 2, 1000
	var m sync.RWMutex
	var join sync.WaitGroup
	var reads int64
	count := 0
	join.Add(readers)
	for i := 0; i < readers; i++ {
		go func() {
			seen, before := 0, 0
			for j := 1; j <= locks/readers; j++ {
				if j%turnsPerWrite == 0 {
					m.Lock()
					count++
					m.Unlock()
					continue
				}
				m.RLock()
				if count >= before {
					seen++
				}
				before = count
				m.RUnlock()
			}
			atomic.AddInt64(&reads, int64(seen))
			join.Done()
		}()
	}
	join.Wait()
	return result{ops: locks, check: fmt.Sprintf("reads=%d writes=%d", reads, count)}
}

func once() result {
	var o sync.Once
	ran := 0
	for i := 0; i < locks; i++ {
		o.Do(func() { ran++ })
	}
	return result{ops: locks, check: fmt.Sprintf("calls=%d ran=%d", locks, ran)}
}

type block struct {
	uses int
	_    [56]byte
}

var blocks = sync.Pool{New: func() any { return new(block) }}

// Two goroutines take three blocks out, write to each, and put them back, again and again.
func poolGetPut() result {
	const tasks, turns, held = 2, 20000, 3
	var join sync.WaitGroup
	var uses int64
	join.Add(tasks)
	for i := 0; i < tasks; i++ {
		go func() {
			used := 0
			for j := 0; j < turns; j++ {
				var b [held]*block
				for k := range b {
					b[k] = blocks.Get().(*block)
					before := b[k].uses
					b[k].uses++
					used += b[k].uses - before
				}
				for k := range b {
					blocks.Put(b[k])
				}
			}
			atomic.AddInt64(&uses, int64(used))
			join.Done()
		}()
	}
	join.Wait()
	return result{ops: tasks * turns * held, check: fmt.Sprintf("taken=%d uses=%d", tasks*turns*held, uses)}
}

type adder interface{ add(to int) int }
type plus struct{ by int }
type minus struct{ by int }

func (p *plus) add(to int) int  { return to + p.by }
func (m *minus) add(to int) int { return to - m.by }

func assert() result {
	const assertions = 100000
	held := []any{&plus{3}, &minus{1}}
	sum := 0
	for i := 0; i < assertions; i++ {
		sum = held[i%2].(adder).add(sum)
	}
	return result{ops: assertions, check: fmt.Sprintf("asserts=%d sum=%d", assertions, sum)}
}

// A channel is what Go programs have for a semaphore without a module; the one of x/sync takes a mutex each way.
func semaphore() result {
	const permits = 3
	s := make(chan struct{}, permits)
	for i := 0; i < locks; i++ {
		s <- struct{}{}
		<-s
	}
	return result{ops: locks, check: fmt.Sprintf("acquired=%d left=%d", locks, cap(s)-len(s))}
}

// The others fall due evenly over an hour that begins in an hour; the timer that is set and stopped, or
// reset, falls among them. They are made by AfterFunc, since an unread NewTimer waits in no heap
// (Go 1.23).
var others []*time.Timer

func setOthers() {
	for i := len(others); i < pending; i++ {
		others = append(others, time.AfterFunc(time.Hour+time.Duration(i)*time.Hour/pending, func() {}))
	}
}

func timer() result {
	setOthers()
	stopped := 0
	from := time.Now()
	for i := 0; i < pairs; i++ {
		if time.NewTimer(time.Hour + 30*time.Minute).Stop() {
			stopped++
		}
	}
	timed := time.Since(from)
	return result{ops: pairs, timed: timed, check: fmt.Sprintf("pending=%d stopped=%d", len(others), stopped)}
}

// By turns into the first and into the third quarter of the others.
func timerReset() result {
	setOthers()
	ahead := [2]time.Duration{75 * time.Minute, 105 * time.Minute}
	active := 0
	t := time.AfterFunc(90*time.Minute, func() {})
	from := time.Now()
	for i := 0; i < resets; i++ {
		if t.Reset(ahead[i&1]) {
			active++
		}
	}
	timed := time.Since(from)
	t.Stop()
	return result{ops: resets, timed: timed, check: fmt.Sprintf("pending=%d reset=%d", len(others), active)}
}

//go:noinline
func countOne(n *int) {
	*n++
}

//go:noinline
func leaveAFunction(n *int) {
	defer countOne(n)
}

func deferring() result {
	n := 0
	for i := 0; i < calls; i++ {
		leaveAFunction(&n)
	}
	return result{ops: calls, check: fmt.Sprintf("calls=%d run=%d", calls, n)}
}

//go:noinline
func recovering(fn func(*int), n *int) (panicked int) {
	defer func() {
		if recover() != nil {
			panicked = 1
		}
	}()
	fn(n)
	return
}

func protect() result {
	n, panicked := 0, 0
	for i := 0; i < calls; i++ {
		panicked += recovering(countOne, &n)
	}
	return result{ops: calls, check: fmt.Sprintf("calls=%d panics=%d", n, panicked)}
}

func raiseOne(n *int) {
	defer countOne(n)
	panic("one")
}

func panicking() result {
	n, panicked := 0, 0
	for i := 0; i < panics; i++ {
		panicked += recovering(raiseOne, &n)
	}
	return result{ops: panics, check: fmt.Sprintf("deferred=%d panics=%d", n, panicked)}
}

// resident returns the bytes of the process that are resident, and of its page tables.
func resident() int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		server.Fail(err)
	}
	kib := 0
	for _, line := range bytes.Split(status, []byte("\n")) {
		if bytes.HasPrefix(line, []byte("VmRSS:")) || bytes.HasPrefix(line, []byte("VmPTE:")) {
			n, _ := strconv.Atoi(string(bytes.Fields(line)[1]))
			kib += n
		}
	}
	return kib * 1024
}

func park(tasks int) result {
	var parked, done int64
	var ready, join sync.WaitGroup
	gate := make(chan struct{})
	ready.Add(tasks)
	join.Add(tasks)
	before := resident()
	from := time.Now()
	for i := 0; i < tasks; i++ {
		go func() {
			atomic.AddInt64(&parked, 1)
			ready.Done()
			<-gate
			atomic.AddInt64(&done, 1)
			join.Done()
		}()
	}
	ready.Wait()
	timed := time.Since(from)
	grown := resident() - before
	close(gate)
	join.Wait()
	return result{
		ops: tasks, timed: timed, bytes: float64(grown) / float64(tasks),
		check: fmt.Sprintf("tasks=%d parked=%d done=%d", tasks, parked, done),
	}
}

package main

import (
	"bytes"
	"fmt"
	"runtime"
)

// Rows of bench/memory/push.c and map.c.
const (
	pushesPerSecond = 1000000
	pushesMin       = 200000
	window          = 200000
	messageBytes    = 1024
	inMap           = 1000000
)

// A message of the ring is a slice, as what comes from a network would be.
var ring [][]byte

// What the messages hold: a loop over the bytes of one would be no memset.
var contents [256][]byte

func pushRing(n int) {
	m := make([]byte, messageBytes)
	copy(m, contents[byte(n)]) // with the make before it, one allocation that is not zeroed
	ring[n%window] = m
}

func fillRing() {
	ring = make([][]byte, window)
	for i := range contents {
		contents[i] = bytes.Repeat([]byte{byte(i)}, messageBytes)
	}
	for n := 0; n < window; n++ {
		pushRing(n)
	}
	runtime.GC()
}

func ringPush(w *work) {
	pushes := int(w.count(pushesPerSecond, pushesMin))
	w.latencies = new(histogram)
	w.begin()
	for n := window; n < window+pushes; n++ {
		from := now()
		pushRing(n)
		w.latencies.record(since(from))
	}
	w.end()
	sum := uint64(0)
	for _, m := range ring {
		sum += uint64(m[messageBytes-1])
	}
	w.ops = int64(pushes)
	w.check = fmt.Sprintf("live=%d pushes=%d sum=%d", window, pushes, sum)
}

type message [32]uint64

var messages map[uint64]*message

func pushMap(n uint64) {
	if n >= inMap {
		delete(messages, n-inMap)
	}
	m := new(message)
	for i := range m {
		m[i] = n
	}
	messages[n] = m
}

func fillMap() {
	messages = make(map[uint64]*message)
	for n := uint64(0); n < inMap; n++ {
		pushMap(n)
	}
	runtime.GC()
}

func mapPush(w *work) {
	pushes := uint64(w.count(4*pushesPerSecond, pushesMin))
	w.latencies = new(histogram)
	w.begin()
	for n := uint64(inMap); n < inMap+pushes; n++ {
		from := now()
		pushMap(n)
		w.latencies.record(since(from))
	}
	w.end()
	sum := uint64(0)
	for n := pushes; n < inMap+pushes; n++ {
		sum += messages[n][31]
	}
	w.ops = int64(pushes)
	w.check = fmt.Sprintf("live=%d pushes=%d sum=%d", len(messages), pushes, sum)
}

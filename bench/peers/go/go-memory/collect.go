package main

import (
	"fmt"
	"runtime"
	"time"
)

// Rows of bench/memory/collect.c.
const (
	treeDepth = 21
	lists     = 1024
	listNodes = 4096
	blocks    = 131072
	blockSize = 2048
	stores    = 1000000
	slotCount = 1024
	nodeBytes = 32
)

type node struct {
	left, right *node
	words       [2]uint64
}

var (
	markedTree   *node
	markedLists  []*node
	markedBlocks []*[blockSize]byte
	slots        []*node
	plainSlots   []uintptr
)

func buildNodes(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{left: buildNodes(depth - 1), right: buildNodes(depth - 1)}
}

func (n *node) bytes() int64 {
	if n == nil {
		return 0
	}
	return nodeBytes + n.left.bytes() + n.right.bytes()
}

// mark collects until the time is over; live then says how much has come through it.
func mark(w *work, bytes int64, live func() int64) {
	runtime.GC()
	w.begin()
	for w.ops == 0 || time.Since(w.wallFrom).Seconds() < w.seconds {
		runtime.GC()
		w.ops += bytes
	}
	w.end()
	w.check = fmt.Sprintf("bytes=%d live=%d", bytes, live())
}

func markTree(w *work) {
	markedTree = buildNodes(treeDepth)
	mark(w, (2<<treeDepth-1)*nodeBytes, func() int64 { return markedTree.bytes() })
}

func markLists(w *work) {
	markedLists = make([]*node, lists)
	for i := 0; i < lists*listNodes; i++ {
		markedLists[i%lists] = &node{left: markedLists[i%lists]}
	}
	mark(w, lists*listNodes*nodeBytes, func() (bytes int64) {
		for _, n := range markedLists {
			for ; n != nil; n = n.left {
				bytes += nodeBytes
			}
		}
		return
	})
}

func markPoor(w *work) {
	markedBlocks = make([]*[blockSize]byte, blocks)
	for i := range markedBlocks {
		b := new([blockSize]byte)
		for j := range b {
			b[j] = byte(i)
		}
		markedBlocks[i] = b
	}
	mark(w, blocks*blockSize, func() (right int64) {
		for i, b := range markedBlocks {
			if b[blockSize-1] == byte(i) {
				right += blockSize
			}
		}
		return
	})
}

func fillSlots() {
	slots = make([]*node, slotCount)
	plainSlots = make([]uintptr, slotCount)
	markedTree = buildNodes(1)
	runtime.GC()
}

// setIdle: a slice of integers has no barrier, and is otherwise stored to alike.
func setIdle(w *work) {
	of := [2]*node{markedTree.left, markedTree.right}
	var plain work
	plainOf := [2]uintptr{1, 2}
	into, plainInto := slots[:slotCount], plainSlots[:slotCount]
	w.begin()
	for i := 0; i < stores; i++ {
		into[i&(slotCount-1)] = of[i>>10&1]
	}
	w.end()
	plain.begin()
	for i := 0; i < stores; i++ {
		plainInto[i&(slotCount-1)] = plainOf[i>>10&1]
	}
	plain.end()
	right := 0
	for i := stores - slotCount; i < stores; i++ {
		if into[i&(slotCount-1)] == of[i>>10&1] && plainInto[i&(slotCount-1)] == plainOf[i>>10&1] {
			right++
		}
	}
	w.plain += plain.wall
	w.ops += stores
	w.check = fmt.Sprintf("stores=%d right=%d", stores, right)
}

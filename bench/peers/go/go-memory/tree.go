package main

import "fmt"

// Rows of bench/memory/tree.c.
const leastDepth = 4

type tree struct{ left, right *tree }

var longLived *tree

func build(depth int) *tree {
	if depth == 0 {
		return &tree{}
	}
	return &tree{build(depth - 1), build(depth - 1)}
}

func (t *tree) count() int64 {
	if t.left == nil {
		return 1
	}
	return 1 + t.left.count() + t.right.count()
}

func binaryTrees(w *work, depth int) {
	w.begin()
	nodes := build(depth + 1).count()
	longLived = build(depth)
	for d := leastDepth; d <= depth; d += 2 {
		for trees := 1 << (depth - d + leastDepth); trees > 0; trees-- {
			nodes += build(d).count()
		}
	}
	nodes += longLived.count()
	w.end()
	w.ops = nodes
	w.check = fmt.Sprintf("depth=%d nodes=%d", depth, nodes)
}

package main

const hasCounter = true

// counter reads the time-stamp counter.
func counter() uint64

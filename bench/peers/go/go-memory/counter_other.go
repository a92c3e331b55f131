//go:build !amd64

package main

const hasCounter = false

func counter() uint64 { return 0 }

// Package server is what the Go servers share: options, GOMAXPROCS, the end by signal.
package server

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// Options are those that every server of the bench takes.
type Options struct {
	Mode   string
	Listen net.Listener
}

// Usage prints one line and ends with status 2.
func Usage(format string, args ...interface{}) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(2)
}

// Start reads the options, opens the listener and says where it listens. The program ends with
// status 0 on SIGTERM and SIGINT.
func Start(modes ...string) Options {
	mode := flag.String("mode", "", fmt.Sprint("one of ", modes))
	listen := flag.String("listen", "", "address:port; port 0 takes a free one")
	threads := flag.Int("threads", 1, "GOMAXPROCS")
	stats := flag.String("stats", "", "accepted, and left at 0: nothing here spins")
	version := flag.Bool("version", false, "print the version")
	flag.Parse()
	if *version {
		fmt.Println("go", runtime.Version())
		os.Exit(0)
	}
	if flag.NArg() > 0 {
		Usage("unexpected argument '%s'", flag.Arg(0))
	}
	known := false
	for _, m := range modes {
		known = known || m == *mode
	}
	if !known {
		Usage("no such mode here: '%s'; --mode takes %v", *mode, modes)
	}
	if *listen == "" || *threads < 1 {
		Usage("--listen ADDRESS:PORT and a positive --threads are needed")
	}
	runtime.GOMAXPROCS(*threads)
	if *stats != "" {
		if err := os.WriteFile(*stats, make([]byte, 8), 0o644); err != nil {
			Fail(err)
		}
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		Fail(err)
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-end
		os.Exit(0)
	}()
	fmt.Println("listening on", l.Addr())
	return Options{*mode, l}
}

// Fail prints the error and ends with status 1.
func Fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

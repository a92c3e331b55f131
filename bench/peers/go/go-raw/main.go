// go-raw: a goroutine for each connection, a buffer of 4 KiB, Read and Write, and nothing else.
//
// TCP_NODELAY is Go's default. Nothing in an answer depends on its request, so of a request that is
// not complete only the last three bytes are kept, and all requests of one Read are answered by one
// Write out of a block of answers. Write takes care of partial writes and of clients that do not read.
package main

import (
	"bytes"
	"net"

	"weft/bench/peers/server"
)

const (
	answer  = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!"
	answers = 64   // in the block
	buffer  = 4096 // bytes of one read, as in every raw peer
	carry   = 3    // the most that an incomplete end of request leaves behind
)

var (
	block = bytes.Repeat([]byte(answer), answers)
	end   = []byte("\r\n\r\n")
)

func raw(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, carry+buffer)
	kept := 0
	for {
		n, err := conn.Read(buf[kept : kept+buffer])
		if err != nil {
			return
		}
		text := buf[:kept+n]
		requests := 0
		for {
			i := bytes.Index(text, end)
			if i < 0 {
				break
			}
			requests++
			text = text[i+len(end):]
		}
		if len(text) > carry {
			text = text[len(text)-carry:]
		}
		kept = copy(buf, text)
		for requests > 0 {
			k := requests
			if k > answers {
				k = answers
			}
			if _, err := conn.Write(block[:k*len(answer)]); err != nil {
				return
			}
			requests -= k
		}
	}
}

func echo(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, buffer)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		if _, err := conn.Write(buf[:n]); err != nil {
			return
		}
	}
}

func main() {
	options := server.Start("raw", "echo")
	serve := raw
	if options.Mode == "echo" {
		serve = echo
	}
	for {
		conn, err := options.Listen.Accept()
		if err != nil {
			server.Fail(err)
		}
		go serve(conn)
	}
}

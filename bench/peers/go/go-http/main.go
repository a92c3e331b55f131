// go-http: net/http as it is meant to be used, with the two header values made once.
//
// The handler assigns them instead of calling Set, which saves an allocation each; Date is the
// package's own, and the Content-Length is given so that it need not be worked out.
package main

import (
	"net/http"

	"weft/bench/peers/server"
)

var (
	body   = []byte("Hello, World!")
	kind   = []string{"text/plain"}
	length = []string{"13"}
)

func plaintext(w http.ResponseWriter, _ *http.Request) {
	header := w.Header()
	header["Content-Type"] = kind
	header["Content-Length"] = length
	w.Write(body)
}

func main() {
	options := server.Start("http")
	mux := http.NewServeMux()
	mux.HandleFunc("/plaintext", plaintext)
	s := &http.Server{Handler: mux}
	server.Fail(s.Serve(options.Listen))
}

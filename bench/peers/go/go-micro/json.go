package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"weft/bench/peers/server"
)

// As weft's: bench/micro/json.c says what the rows are about, and has the same formula.
const (
	docBytes = 1 << 20
	docKiB   = docBytes / 1024
)

type item struct {
	Sku   string  `json:"sku"`
	Count int     `json:"count"`
	Price float64 `json:"price"`
}

type address struct {
	Street string `json:"street"`
	City   string `json:"city"`
	Zip    string `json:"zip"`
}

type record struct {
	ID       uint64   `json:"id"`
	Name     string   `json:"name"`
	Email    string   `json:"email"`
	Active   bool     `json:"active"`
	Score    float64  `json:"score"`
	Balance  int64    `json:"balance"`
	Address  address  `json:"address"`
	About    string   `json:"about"`
	Tags     []string `json:"tags"`
	Items    []item   `json:"items"`
	Readings []int    `json:"readings"`
}

type document struct {
	Version int      `json:"version"`
	Records []record `json:"records"`
}

// As they stand in the text.
var words = [16]string{"river", "stone", "amber", `\"north\"`, "Köln", `Z\u00fcrich`, "東京", "harbour", `a\/b`, "meadow",
	"lantern", `first\nsecond`, "Škoda", "copper", `tab\tbed`, "winter"}

type maker struct {
	bytes.Buffer
	drawn uint64
}

func (m *maker) draw(below uint64) uint64 {
	m.drawn++
	z := mixed(m.drawn * 0x9e3779b97f4a7c15)
	if below == 0 {
		return z
	}
	return z % below
}

func (m *maker) add(format string, args ...any) {
	fmt.Fprintf(m, format, args...)
}

func (m *maker) words(n int) {
	for i := 0; i < n; i++ {
		if i > 0 {
			m.WriteByte(' ')
		}
		m.WriteString(words[m.draw(16)])
	}
}

// number ends in an odd digit: not all print zeros at the end alike.
func (m *maker) number(whole uint64, digits int, part uint64) {
	m.add("%d.%0*d", whole, digits, part|1)
}

func (m *maker) item() {
	m.add(`{"sku":"AB-%06d"`, m.draw(1000000))
	m.add(`,"count":%d,"price":`, m.draw(100))
	whole := m.draw(500)
	m.number(whole, 2, m.draw(100))
	m.add("}")
}

func (m *maker) record() {
	m.add(`{"id":%d,"name":"`, m.draw(0))
	m.words(2)
	m.add(`","email":"user%d@example.org"`, m.draw(100000))
	m.add(`,"active":%t,"score":`, m.draw(2) == 1)
	whole := 1 + m.draw(1000)
	m.number(whole, 4, m.draw(10000))
	m.add(`,"balance":%d`, int64(m.draw(2000000))-1000000)
	m.add(`,"address":{"street":"%d `, m.draw(200))
	m.words(1)
	m.add(`","city":"`)
	m.words(1)
	m.add(`","zip":"%05d"},"about":"`, m.draw(100000))
	m.words(8)
	m.add(`","tags":["`)
	m.words(1)
	m.add(`","`)
	m.words(1)
	m.add(`"],"items":[`)
	for i, n := uint64(0), m.draw(4); i < n; i++ {
		if i > 0 {
			m.add(",")
		}
		m.item()
	}
	m.add(`],"readings":[`)
	for i := 0; i < 8; i++ {
		if i > 0 {
			m.add(",")
		}
		m.add("%d", int64(m.draw(10000))-5000)
	}
	m.add("]}")
}

func hashOf(text []byte) uint32 {
	h := uint32(2166136261)
	for _, b := range text {
		h = (h ^ uint32(b)) * 16777619
	}
	return h
}

var (
	docText              []byte
	docValue             document
	docHash, encodedHash uint32
)

func makeDocument() {
	if docText != nil {
		return
	}
	var m maker
	m.add(`{"version":1,"records":[`)
	for first := true; m.Len() < docBytes; first = false {
		if !first {
			m.add(",")
		}
		m.record()
	}
	m.add("]}")
	docText = m.Bytes()
	docHash = hashOf(docText)
	if err := json.Unmarshal(docText, &docValue); err != nil {
		server.Fail(err)
	}
}

func jsonDecode() result {
	makeDocument()
	var d document
	var sum int64
	from := time.Now()
	if err := json.Unmarshal(docText, &d); err != nil {
		server.Fail(err)
	}
	for i := range d.Records {
		r := &d.Records[i]
		sum += r.Balance + int64(len(r.About))
		for k := range r.Items {
			sum += int64(r.Items[k].Count)
		}
		for _, reading := range r.Readings {
			sum += int64(reading)
		}
	}
	return result{ops: docKiB, timed: time.Since(from),
		check: fmt.Sprintf("bytes=%d hash=%08x records=%d sum=%d", len(docText), docHash, len(d.Records), sum)}
}

func jsonEncode() result {
	makeDocument()
	from := time.Now()
	text, err := json.Marshal(&docValue)
	timed := time.Since(from)
	if err != nil {
		server.Fail(err)
	}
	if encodedHash == 0 {
		encodedHash = hashOf(text)
	}
	return result{ops: docKiB, timed: timed, check: fmt.Sprintf("bytes=%d hash=%08x", len(text), encodedHash)}
}

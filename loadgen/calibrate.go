package main

import (
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/big"
	"net"
	"os"
	"runtime"
	"sort"
	"time"
)

// calibrateRef is what the reference machine printed when it was quiet: CPU µs for
// one turn of each workload.
var calibrateRef = map[string]float64{"modexp": 3600, "sha256": 46.9, "echo": 15.4}

// calibrateMain measures three fixed workloads that a gateway's cost is made of and
// prints how slow this machine is against the reference: multiply the reference
// figures by it before comparing with figures measured here.
func calibrateMain(args []string) {
	fs := flag.NewFlagSet("calibrate", flag.ExitOnError)
	rounds := fs.Int("rounds", 7, "measure each workload so often, keep the median")
	check(fs.Parse(args))
	runtime.GOMAXPROCS(1)

	base, exp, mod := new(big.Int).SetBytes(fill(256, 7)), new(big.Int).SetBytes(fill(256, 11)), new(big.Int).SetBytes(fill(256, 255))
	mod.SetBit(mod, 0, 1)
	block := fill(64<<10, 3)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	client, err := net.Dial("tcp", ln.Addr().String())
	check(err)
	server, err := ln.Accept()
	check(err)
	packet := fill(200, 5)

	work := []struct {
		name string
		n    int
		turn func()
	}{
		{"modexp", 20, func() { new(big.Int).Exp(base, exp, mod) }}, // 2048-bit, as in a key exchange
		{"sha256", 300, func() { sha256.Sum256(block) }},            // 64 KiB, as in bulk
		{"echo", 3000, func() { // 200 bytes there and back over loopback, as in small messages
			_, err := client.Write(packet)
			check(err)
			_, err = server.Read(packet)
			check(err)
			_, err = server.Write(packet)
			check(err)
			_, err = client.Read(packet)
			check(err)
		}},
	}
	out, product := map[string]float64{}, 1.0
	for _, w := range work {
		var us []float64
		for i := 0; i < *rounds; i++ {
			cpu := selfCPU()
			for j := 0; j < w.n; j++ {
				w.turn()
			}
			us = append(us, float64((selfCPU()-cpu)/time.Nanosecond)/1000/float64(w.n))
		}
		sort.Float64s(us)
		out[w.name+"_us"] = us[len(us)/2]
		product *= us[len(us)/2] / calibrateRef[w.name]
	}
	out["factor"] = math.Cbrt(product)
	check(json.NewEncoder(os.Stdout).Encode(out))
	fmt.Fprintf(os.Stderr, "this machine needs %.2f times the CPU of the reference\n", out["factor"])
}

// fill makes n bytes that do not repeat within a block.
func fill(n int, step byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)*step + 1
	}
	return b
}

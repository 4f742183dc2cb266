package policy

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/admission"
)

func BenchmarkLoadEmbedded(b *testing.B) {
	for b.Loop() {
		e, err := Load(context.Background(), Options{Deadline: patience})
		if err != nil {
			b.Fatal(err)
		}
		e.compiler()
	}
}

func benchmarkDecide(b *testing.B, change func(*admission.Input)) {
	e, err := Load(context.Background(), Options{Deadline: patience})
	if err != nil {
		b.Fatal(err)
	}
	in := goodInput()
	change(in)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Decide(context.Background(), in); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecideAllow(b *testing.B) { benchmarkDecide(b, func(*admission.Input) {}) }

func BenchmarkDecideDenyOne(b *testing.B) {
	benchmarkDecide(b, func(in *admission.Input) { in.Binary.InsideRoot = false })
}

func BenchmarkDecideDenyEight(b *testing.B) {
	benchmarkDecide(b, func(in *admission.Input) {
		in.Request.Version = "1.0.0"
		in.Binary.UID, in.Binary.Links, in.Binary.Setuid, in.Binary.WritableByOthers = 55, 2, true, true
		in.Binary.Mount.Noexec = true
		in.Root.Broad = "system directory"
	})
}

func BenchmarkBuildInput(b *testing.B) {
	e, err := Load(context.Background(), Options{Deadline: patience})
	require.NoError(b, err)
	in := goodInput()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.input(in); err != nil {
			b.Fatal(err)
		}
	}
}

// A decision costs the same however many digests are listed.
func BenchmarkDecideListed(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			var data strings.Builder
			data.WriteString(`{"config": {"defaults": {"digests": {"require_listed": true, "allow": {"` + goodInput().Binary.SHA256 + `": {}`)
			for i := range n {
				fmt.Fprintf(&data, `, "%064x": {}`, i)
			}
			data.WriteString("}}}}}")
			s := &site{}
			require.NoError(b, s.readData(source{"data.json", []byte(data.String())}))
			e, err := build(Options{Deadline: patience}, embedded(), s)
			require.NoError(b, err)
			in := goodInput()
			b.ReportAllocs()
			for b.Loop() {
				d, err := e.Decide(context.Background(), in)
				if err != nil || !d.Allow {
					b.Fatal(err, d.Violations)
				}
			}
		})
	}
}

// The site that teams begin with, read, checked and compiled.
func BenchmarkLoadExample(b *testing.B) {
	dir := writeSite(b, exampleFiles(b))
	for b.Loop() {
		if _, err := Load(context.Background(), Options{Path: dir, Deadline: patience}); err != nil {
			b.Fatal(err)
		}
	}
}

// listedSite is a site that lists n digests beside that of the known launch.
func listedSite(n int) files {
	var data strings.Builder
	data.WriteString(`{"config": {"defaults": {"digests": {"require_listed": true, "allow": {"` + goodInput().Binary.SHA256 + `": {}`)
	for i := range n {
		fmt.Fprintf(&data, `, "%x": {}`, sha256.Sum256([]byte{byte(i), byte(i >> 8), byte(i >> 16)}))
	}
	data.WriteString("}}}}}")
	return files{"data.json": data.String()}
}

// What a list costs a process that decides once.
func BenchmarkLoadListed(b *testing.B) {
	for _, n := range []int{0, 100, 1000, 10_000, 100_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			dir := writeSite(b, listedSite(n))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Load(context.Background(), Options{Path: dir, Deadline: patience}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

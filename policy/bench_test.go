package policy

import (
	"context"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/admission"
)

// ready loads a policy and waits for what Load leaves to goroutines.
func ready(b *testing.B, path string) {
	e, err := Load(context.Background(), Options{Path: path, Deadline: patience})
	if err != nil {
		b.Fatal(err)
	}
	e.compiler()
	if e.known != nil {
		if err := e.known(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoadEmbedded(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		ready(b, "")
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

// forms are a site as a directory, and the same with an index.
func forms(b *testing.B, n int, run func(b *testing.B, path string)) {
	dir := writeSite(b, longSite(n))
	b.Run("data/"+strconv.Itoa(n), func(b *testing.B) { run(b, dir) })
	b.Run("index/"+strconv.Itoa(n), func(b *testing.B) { run(b, indexedFile(b, dir)) })
}

// A decision costs the same however many digests are listed, for a digest that
// was asked for just before, and for another one each time.
func BenchmarkDecideListed(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000, 100_000} {
		forms(b, n, func(b *testing.B, path string) {
			e := loadPath(b, path)
			for name, every := range map[string]int{"same": 1, "other": 100} {
				b.Run(name, func(b *testing.B) {
					in := goodInput()
					b.ReportAllocs()
					for i := 0; b.Loop(); i++ {
						in.Binary.SHA256 = listedDigest(i % every)
						d, err := e.Decide(context.Background(), in)
						if err != nil || !d.Allow {
							b.Fatal(err, d.Violations)
						}
					}
				})
			}
		})
	}
}

// What a list costs a process that decides once.
func BenchmarkLoadListed(b *testing.B) {
	for _, n := range []int{0, 100, 1000, 10_000, 100_000} {
		forms(b, n, func(b *testing.B, path string) {
			b.ReportAllocs()
			for b.Loop() {
				ready(b, path)
			}
		})
	}
}

// One lookup in an index, of a digest that was not asked for just before.
func BenchmarkIndexLookup(b *testing.B) {
	for _, n := range []int{100, 10_000, 100_000} {
		list := allowList(b, loadPath(b, indexedFile(b, writeSite(b, longSite(n)))))
		digests := make([]string, 100)
		for i := range digests {
			digests[i] = listedDigest(i)
		}
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, listed, err := list.of(digests[i%len(digests)]); err != nil || !listed {
					b.Fatal(listed, err)
				}
			}
		})
	}
}

// The site that teams begin with, read, checked and compiled.
func BenchmarkLoadExample(b *testing.B) {
	dir := writeSite(b, exampleFiles(b))
	for b.Loop() {
		ready(b, dir)
	}
}

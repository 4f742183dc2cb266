package policy

import (
	"context"
	"testing"

	"github.com/spawnward/spawnward/spawner/admission"
)

func BenchmarkLoadEmbedded(b *testing.B) {
	for b.Loop() {
		if _, err := Load(context.Background(), Options{Deadline: patience}); err != nil {
			b.Fatal(err)
		}
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
	keys, in := newKeys(), goodInput()
	for b.Loop() {
		if _, err := buildInput(keys, in); err != nil {
			b.Fatal(err)
		}
	}
}

package policy

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/admission"
)

const firstVariable = "POLICY_BENCHMARK_FIRST"

func TestMain(m *testing.M) {
	if finding := os.Getenv(firstVariable); finding != "" {
		firstDecisions(finding == "deny")
		return
	}
	m.Run()
}

// firstDecisions is a process that decides, with the collector as in the
// command. It prints what the first and the second decision took, in nanoseconds.
func firstDecisions(deny bool) {
	debug.SetGCPercent(-1)
	e, err := Load(context.Background(), Options{Deadline: patience})
	if err != nil {
		panic(err)
	}
	e.compiler()
	in := goodInput()
	in.Binary.InsideRoot = !deny
	for range 2 {
		begin := time.Now()
		if d, err := e.Decide(context.Background(), in); err != nil || d.Allow == deny {
			panic(fmt.Sprint(d, err))
		}
		fmt.Println(time.Since(begin).Nanoseconds())
	}
}

// BenchmarkDecideFirst is what a process that has just been started pays for its
// first decision and its second one, the library being ready: code and memory are
// touched for the first time.
func BenchmarkDecideFirst(b *testing.B) {
	self, err := os.Executable()
	require.NoError(b, err)
	for _, finding := range []string{"allow", "deny"} {
		b.Run(finding, func(b *testing.B) {
			var first, second int64
			for b.Loop() {
				c := exec.Command(self)
				c.Env = append(os.Environ(), firstVariable+"="+finding)
				out, err := c.Output()
				require.NoError(b, err)
				var one, two int64
				_, err = fmt.Sscan(string(out), &one, &two)
				require.NoError(b, err)
				first, second = first+one, second+two
			}
			b.ReportMetric(float64(first)/float64(b.N), "first-ns/op")
			b.ReportMetric(float64(second)/float64(b.N), "second-ns/op")
		})
	}
}

// The decision alone, its input being built.
func BenchmarkJudge(b *testing.B) {
	e, err := Load(context.Background(), Options{Deadline: patience})
	require.NoError(b, err)
	for name, change := range map[string]func(*admission.Input){
		"allow": func(*admission.Input) {}, "deny": func(in *admission.Input) { in.Binary.InsideRoot = false },
	} {
		in := goodInput()
		change(in)
		input, err := e.input(in)
		require.NoError(b, err)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := e.judge(context.Background(), input); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Package figures measures what the README says about speed and cost:
//
//	go test ./cmd/internal/figures -figures -v -timeout 20m
//
// It prints every bar of the design with what was measured of it, each stage,
// other ways to start a program, and what more work costs; with -update it also
// writes them into the README. It needs a C compiler, openssl and, for the
// comparison, the module proxy; -parts takes only some of it, and -rounds fewer
// looks.
//
// Every time stands beside a control of the same run, taken in turns with it,
// because machines drift; quote the ratios. Nothing here fails because it is
// slow: bars that are missed are told at the end.
package figures

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/wasm"
)

var (
	measure = flag.Bool("figures", false, "measure, and print the tables")
	update  = flag.Bool("update", false, "write the tables into the README")
	rounds  = flag.Int("rounds", 40, "how often each command is run")
	parts   = flag.String("parts", strings.Join(allParts(), ","), "which parts are measured")
)

// allParts are the parts of a run, in the order in which they are measured.
func allParts() []string {
	return []string{"cold", "library", "stages", "hooks", "compare", "growth"}
}

func TestMain(m *testing.M) {
	wasm.RunWorker()
	if role := os.Getenv(roleEnv); role != "" {
		if err := play(role); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, err) // and the exit status
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestFigures(t *testing.T) {
	if !*measure {
		t.Skip("it measures for minutes; run: go test ./cmd/internal/figures -figures -v -timeout 20m")
	}
	chosen := strings.Split(*parts, ",")
	require.Subset(t, allParts(), chosen)
	require.False(t, *update && len(chosen) < len(allParts()), "the README's figures come from one whole run: leave out -parts")
	before := load(t)
	b := newBench(t)
	do := map[string]func(){
		"cold": b.cold, "library": b.library, "stages": b.stages, "hooks": b.hooks, "compare": b.compare, "growth": b.growth,
	}
	for _, part := range chosen {
		t.Log("measuring ", part)
		do[part]()
	}
	text := b.report.markdown(machine(t, b.dir), before)
	_, _ = fmt.Fprintf(os.Stdout, "\n%s\n%s", text, b.report.summary()) // nobody else to tell
	if *update {
		require.NoError(t, intoREADME(text))
	}
}

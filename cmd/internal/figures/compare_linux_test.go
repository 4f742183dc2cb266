package figures

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/service"
)

func (b *bench) digest() string {
	data, err := os.ReadFile(b.backend)
	require.NoError(b.t, err)
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

// way is one way to start a program, and what each start took.
type way struct {
	Way string
	NS  []int64
}

// compare starts the same bytes in every way that a user has. The module under
// testdata/compare is one of its own, so that nothing here depends on go-plugin.
func (b *bench) compare() {
	root := filepath.Join(b.dir, "compared")
	require.NoError(b.t, os.Mkdir(root, 0o755))
	program, driver := filepath.Join(root, "backend"), filepath.Join(b.dir, "driver")
	for _, p := range [][2]string{{program, "./backend"}, {driver, "./driver"}} {
		c := exec.Command("go", "build", "-o", p[0], p[1])
		c.Dir, c.Env = "testdata/compare", append(os.Environ(), "CGO_ENABLED=0")
		b.must(c)
	}
	aged()
	c := exec.Command(driver, "-rounds", fmt.Sprint(*rounds), "-command", b.command, program, b.short)
	c.Env = b.env
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	require.NoError(b.t, err, stderr.String())
	var took []way
	require.NoError(b.t, json.Unmarshal(out, &took))
	of := func(name string) float64 {
		at := slices.IndexFunc(took, func(w way) bool { return w.Way == name })
		require.GreaterOrEqual(b.t, at, 0, "%s: %v", name, took)
		return float64(median(took[at].NS))
	}
	plain, plugin := of("os/exec"), of("go-plugin with checksum")
	var rows [][]string
	for _, w := range took {
		m := float64(median(w.NS))
		rows = append(rows, []string{w.Way, spell(time.Duration(m)), fmt.Sprintf("%.2f", m/plain), fmt.Sprintf("%.2f", m/plugin)})
	}
	st, err := os.Stat(program)
	require.NoError(b.t, err)
	b.report.table(table{
		fmt.Sprintf("One program of %.1f MB, from its start until it can be spoken to", float64(st.Size())/1e6),
		[]string{"way", "median", "to os/exec", "to go-plugin"}, rows,
		fmt.Sprintf("Spawnward knows the digest from an earlier launch, which go-plugin cannot, but for the row that says so, and\n"+
			"returns as soon as the proof is had: by default it then sees the backend live on for %s (settle), in one row.\n"+
			"With the probe peer the kernel says who listens; with identity the backend also reads and hashes its own file.\n"+
			"The library has loaded policy before; the command loads it at each start.", whole(service.DefaultSettle)),
	})
	b.report.note("plugin", of("spawnward, probe peer")/plugin, 0, fmt.Sprintf(
		"go-plugin %s; %.2f with the probe identity, for which the backend itself reads and hashes its file", spell(time.Duration(plugin)), of("spawnward, probe identity")/plugin))
}

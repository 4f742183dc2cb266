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
)

func (b *bench) digest() string {
	data, err := os.ReadFile(b.backend)
	require.NoError(b.t, err)
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

// compare starts the same bytes in every way that a user has. The module under
// testdata/compare is one of its own, so that nothing here depends on go-plugin.
func (b *bench) compare() {
	root, work := filepath.Join(b.dir, "compared"), b.short
	require.NoError(b.t, os.Mkdir(root, 0o755))
	program, driver := filepath.Join(root, "backend"), filepath.Join(b.dir, "driver")
	for _, p := range [][2]string{{program, "./backend"}, {driver, "./driver"}} {
		c := exec.Command("go", "build", "-o", p[0], p[1])
		c.Dir, c.Env = "testdata/compare", append(os.Environ(), "CGO_ENABLED=0")
		b.must(c)
	}
	// A file younger than a second is never in the digest cache.
	<-time.After(1100 * time.Millisecond)
	c := exec.Command(driver, "-rounds", fmt.Sprint(*rounds), program, work)
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	require.NoError(b.t, err, stderr.String())
	var took []struct {
		Way string
		NS  []int64
	}
	require.NoError(b.t, json.Unmarshal(out, &took))
	at := slices.IndexFunc(took, func(w struct {
		Way string
		NS  []int64
	}) bool {
		return strings.HasPrefix(w.Way, "go-plugin")
	})
	plugin := float64(median(took[at].NS))
	var rows [][]string
	for _, w := range took {
		m := median(w.NS)
		rows = append(rows, []string{w.Way, micro(time.Duration(m)), fmt.Sprintf("%.2f", float64(m)/plugin)})
	}
	st, err := os.Stat(program)
	require.NoError(b.t, err)
	table(fmt.Sprintf("One program of %.1f MB started in every way", float64(st.Size())/1e6), []string{"way", "median", "to go-plugin"}, rows)
}

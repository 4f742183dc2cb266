package figures

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
)

// growth shows what more work costs, in time and in memory.
func (b *bench) growth() {
	b.growServices()
	b.growRecords()
	b.growDigests()
	b.growBinary()
	b.growLaunches()
}

// few is how often a row of growth is taken.
func few() int { return max(1, *rounds/4) }

func (b *bench) definition(dir, name string) {
	text := fmt.Sprintf("service_name: %s\nbinary_path: %s\nper_version_binary_dir: %s\nisolation: PRIVATE_BROKER\nlaunch: {probe: peer, settle: 1ms}\n", name, b.backend, filepath.Dir(b.backend))
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(text), 0o600))
}

// memory runs a command and gives its time and the most memory that it kept, in
// MiB.
func (b *bench) memory(args ...string) (time.Duration, float64) {
	var times []time.Duration
	var most float64
	for range few() {
		times = append(times, b.run(b.spawnward(args...)))
		most = max(most, b.resident(args...))
	}
	return median(times), most
}

// resident is the most memory that a command kept, in MiB.
func (b *bench) resident(args ...string) float64 {
	wrapper, out := filepath.Join(b.dir, "resident"), filepath.Join(b.dir, "resident.out")
	c := b.spawnward(append([]string{out, b.command}, args...)...)
	c.Path = wrapper
	b.run(c)
	data, err := os.ReadFile(out)
	require.NoError(b.t, err)
	kib, err := strconv.Atoi(strings.TrimSpace(string(data)))
	require.NoError(b.t, err)
	return float64(kib) / 1024
}

func (b *bench) row(what string, args ...string) []string {
	took, most := b.memory(args...)
	return []string{what, micro(took), fmt.Sprintf("%.1f MiB", most)}
}

func (b *bench) growServices() {
	var rows [][]string
	for _, n := range []int{1, 10, 100, 1000} {
		dir := filepath.Join(b.dir, fmt.Sprintf("services%d", n))
		require.NoError(b.t, os.Mkdir(dir, 0o700))
		for i := range n {
			b.definition(dir, fmt.Sprintf("s%d", i))
		}
		rows = append(rows, b.row(fmt.Sprint(n), "check", "--services", dir, "s0@1.0.0"))
	}
	table("`check` by the number of services in the directory", []string{"services", "median", "resident"}, rows)
}

// growRecords copies the record of one ended backend to other names.
func (b *bench) growRecords() {
	var rows [][]string
	flags := []string{"--probe", "peer", "--settle", "1ns", "--binary", b.backend, "--root", filepath.Dir(b.backend), "bench@1.0.0"}
	b.run(b.spawnward(append([]string{"launch"}, flags...)...))
	found, err := filepath.Glob(filepath.Join(b.dir, "state", "spawnward", "*", "backends", "bench@*.json"))
	require.NoError(b.t, err)
	require.Len(b.t, found, 1)
	record, err := os.ReadFile(found[0])
	require.NoError(b.t, err)
	b.run(b.spawnward("stop", "bench"))
	made := 1
	for _, n := range []int{1, 10, 100, 1000} {
		for ; made < n; made++ {
			name := fmt.Sprintf("other%d", made)
			text := strings.ReplaceAll(string(record), "bench", name)
			file := strings.ReplaceAll(filepath.Base(found[0]), "bench", name)
			require.NoError(b.t, os.WriteFile(filepath.Join(filepath.Dir(found[0]), file), []byte(text), 0o600))
		}
		var times []time.Duration
		for range few() {
			times = append(times, b.run(b.spawnward(append([]string{"launch"}, flags...)...)))
			b.run(b.spawnward("stop", "bench"))
		}
		rows = append(rows, []string{fmt.Sprint(n), micro(median(times)), micro(b.run(b.spawnward("ps")))})
	}
	require.NoError(b.t, os.RemoveAll(filepath.Join(b.dir, "state")))
	table("`launch` and `ps` by the number of records of other backends", []string{"records", "launch", "ps"}, rows)
}

func (b *bench) growDigests() {
	var rows [][]string
	for _, n := range []int{100, 1000, 10_000, 100_000} {
		site := b.siteWithDigests(n)
		rows = append(rows, b.row(fmt.Sprint(n), "check", "--policy", site, "--probe", "peer", "--binary", b.backend, "--root", filepath.Dir(b.backend), "bench@1.0.0"))
	}
	table("`check` by the number of listed digests", []string{"digests", "median", "resident"}, rows)
}

func (b *bench) growBinary() {
	var rows [][]string
	content, err := os.ReadFile(b.backend)
	require.NoError(b.t, err)
	for _, size := range []int64{int64(len(content)), 1 << 20, 16 << 20, 256 << 20, 2 << 30} {
		file := filepath.Join(filepath.Dir(b.backend), fmt.Sprintf("sized%d", size))
		require.NoError(b.t, os.WriteFile(file, content, 0o755))
		require.NoError(b.t, os.Truncate(file, size))
		rows = append(rows, b.row(fmt.Sprintf("%.1f MiB", float64(size)/(1<<20)), "check", "--probe", "peer", "--binary", file, "--root", filepath.Dir(b.backend), "bench@1.0.0"))
		require.NoError(b.t, os.Remove(file))
	}
	table("`check` by the size of the binary, which is hashed each time", []string{"size", "median", "resident"}, rows)
}

// growLaunches starts n commands at once, each for a backend of its own.
func (b *bench) growLaunches() {
	var rows [][]string
	dir := filepath.Join(b.dir, "services")
	require.NoError(b.t, os.Mkdir(dir, 0o700))
	for i := range 64 {
		b.definition(dir, fmt.Sprintf("l%d", i))
	}
	for _, n := range []int{1, 4, 16, 64} {
		begin := time.Now()
		var wg sync.WaitGroup
		errs := make([]error, n)
		for i := range n {
			wg.Go(func() {
				out, err := b.spawnward("launch", "--services", dir, fmt.Sprintf("l%d@1.0.0", i)).CombinedOutput()
				if err != nil {
					errs[i] = fmt.Errorf("%w: %s", err, out)
				}
			})
		}
		wg.Wait()
		took := time.Since(begin)
		for i, err := range errs {
			require.NoError(b.t, err)
			b.run(b.spawnward("stop", fmt.Sprintf("l%d", i)))
		}
		rows = append(rows, []string{fmt.Sprint(n), micro(took), micro(took / time.Duration(n))})
	}
	table("Launches at once, each a command and a backend of its own", []string{"launches", "until all handles are there", "each"}, rows)
}

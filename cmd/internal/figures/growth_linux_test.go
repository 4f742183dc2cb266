package figures

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
)

// amount writes a number with a space before its thousands.
func amount(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s %03d", amount(n/1000), n%1000)
}

// inBytes writes a size in whole units.
func inBytes(n int64) string {
	for _, u := range []struct {
		shift int
		name  string
	}{{30, "GiB"}, {20, "MiB"}, {10, "KiB"}} {
		if n>>u.shift > 0 {
			return fmt.Sprint(n>>u.shift, " ", u.name)
		}
	}
	return fmt.Sprint(n, " B")
}

// grown is what one amount of work costs.
type grown struct {
	n    string
	took time.Duration
	mib  float64
}

// growth shows what more work costs, in time and in memory.
func (b *bench) growth() {
	var rows [][]string
	add := func(what, shape string, list []grown) {
		row := []string{what}
		for _, g := range list {
			row = append(row, fmt.Sprintf("%s: %s, %.0f MiB", g.n, spell(g.took), g.mib))
		}
		for len(row) < 6 {
			row = append(row, "")
		}
		rows = append(rows, append(row, shape))
	}
	add("`check`, services in the directory", "flat: one file is opened by its name", b.growServices())
	launch, ps := b.growRecords()
	add("`launch`, records of other backends", "nearly flat: their names are read, their contents are not", launch)
	add("`ps`, records of other backends", "linear: each is verified", ps)
	indexed, listed := b.growDigests()
	add("`check`, digests listed in an index", "flat: a page a level is read", indexed)
	add("`check`, digests listed in JSON", "linear: all of it is read", listed)
	checked, launched := b.growBinary()
	add("`check`, size of the binary, hashed", "time linear, memory flat: it is read in pieces", checked)
	add("`launch`, size of the binary, digest cached", "flat: the file is not read", launched)
	add("commands at once, each a launch of its own", "linear once the cores are busy; memory is that of one command", b.growCommands())
	add("launches at once by one program", "linear once the cores are busy; memory is that of the program", b.growLaunches())
	b.report.table(table{"Growth: time and resident memory", []string{"what", "", "", "", "", "", "shape"}, rows,
		"Files beyond the size of the C program have a hole after it. Launches at once: until all have their handles."})
}

// cost runs a command a few times; after is not timed.
func (b *bench) cost(n string, after func(), args ...string) grown {
	g := grown{n: n}
	took := inTurns(few(), []sample{{"", func() time.Duration {
		d := b.run(b.spawnward(args...))
		after()
		return d
	}, func() {
		g.mib = max(g.mib, b.resident(args...))
		after()
	}}})
	g.took = median(took[""])
	return g
}

func nothing() {}

func (b *bench) definition(dir, name string) {
	text := fmt.Sprintf("service_name: %s\nbinary_path: %s\nper_version_binary_dir: %s\nisolation: PRIVATE_BROKER\nlaunch: {probe: peer, settle: 1ms}\n", name, b.backend, filepath.Dir(b.backend))
	require.NoError(b.t, os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(text), 0o600))
}

func (b *bench) growServices() (list []grown) {
	for _, n := range []int{1, 10, 100, 1000} {
		dir := filepath.Join(b.dir, fmt.Sprintf("services%d", n))
		require.NoError(b.t, os.Mkdir(dir, 0o700))
		for i := range n {
			b.definition(dir, fmt.Sprintf("s%d", i))
		}
		list = append(list, b.cost(amount(n), nothing, "check", "--services", dir, "s0@1.0.0"))
	}
	return list
}

// growRecords copies the record of one ended backend to other names.
func (b *bench) growRecords() (launch, ps []grown) {
	stop := func() { b.run(b.spawnward("stop", "bench")) }
	b.run(b.spawnward(b.flags("launch")...))
	found, err := filepath.Glob(filepath.Join(b.dir, "state", "spawnward", "*", "backends", "bench@*.json"))
	require.NoError(b.t, err)
	require.Len(b.t, found, 1)
	record, err := os.ReadFile(found[0])
	require.NoError(b.t, err)
	stop()
	made := 1
	for _, n := range []int{1, 10, 100, 1000} {
		for ; made < n; made++ {
			name := fmt.Sprintf("other%d", made)
			text := strings.ReplaceAll(string(record), "bench", name)
			file := strings.ReplaceAll(filepath.Base(found[0]), "bench", name)
			require.NoError(b.t, os.WriteFile(filepath.Join(filepath.Dir(found[0]), file), []byte(text), 0o600))
		}
		launch = append(launch, b.cost(amount(n), stop, b.flags("launch")...))
		ps = append(ps, b.cost(amount(n), nothing, "ps"))
	}
	require.NoError(b.t, os.RemoveAll(filepath.Join(b.dir, "state")))
	return launch, ps
}

func (b *bench) growDigests() (indexed, listed []grown) {
	for _, n := range []int{100, 1000, 10_000, 100_000} {
		site := b.siteWithDigests(n)
		indexed = append(indexed, b.cost(amount(n), nothing, b.flags("check", "--policy", b.indexed(site))...))
		listed = append(listed, b.cost(amount(n), nothing, b.flags("check", "--policy", site)...))
	}
	return indexed, listed
}

func (b *bench) growBinary() (checked, launched []grown) {
	st, err := os.Stat(b.backend)
	require.NoError(b.t, err)
	for _, size := range []int64{1 << 10, st.Size(), 16 << 20, 256 << 20, 2 << 30} {
		file := b.sized(size)
		n := inBytes(size)
		checked = append(checked, b.cost(n, nothing, b.flags("check", "--no-digest-cache", "--binary", file)...))
		if size >= st.Size() { // less does not run
			aged()
			launched = append(launched, b.cost(n, func() { b.run(b.spawnward("stop", "bench")) }, b.flags("launch", "--binary", file)...))
		}
		require.NoError(b.t, os.Remove(file))
	}
	return checked, launched
}

// growCommands starts n commands at once, each for a backend of its own.
func (b *bench) growCommands() (list []grown) {
	dir := filepath.Join(b.dir, "services")
	require.NoError(b.t, os.Mkdir(dir, 0o700))
	for i := range 64 {
		b.definition(dir, fmt.Sprintf("l%d", i))
	}
	for _, n := range []int{1, 4, 16, 64} {
		cmds := make([]*exec.Cmd, n)
		kept := make([]string, n)
		for i := range n {
			kept[i] = filepath.Join(b.dir, fmt.Sprintf("resident%d", i))
			cmds[i] = b.spawnward(kept[i], b.command, "launch", "--services", dir, fmt.Sprintf("l%d@1.0.0", i))
			cmds[i].Path = filepath.Join(b.dir, "resident")
		}
		begin := time.Now()
		errs := make([]error, n)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				out, err := cmds[i].CombinedOutput()
				if err != nil {
					errs[i] = fmt.Errorf("%w: %s", err, out)
				}
			})
		}
		wg.Wait()
		g := grown{n: amount(n), took: time.Since(begin)}
		for i, err := range errs {
			require.NoError(b.t, err)
			b.run(b.spawnward("stop", fmt.Sprintf("l%d", i)))
			g.mib = max(g.mib, b.kept(kept[i]))
		}
		list = append(list, g)
	}
	return list
}

// growLaunches starts n backends at once from one program.
func (b *bench) growLaunches() (list []grown) {
	for _, n := range []int{1, 4, 16, 64} {
		var took []time.Duration
		g := grown{n: amount(n)}
		for range few() {
			var t together
			b.played(&t, "at once", b.backend, filepath.Join(b.dir, "at-once"), b.short, fmt.Sprint(n))
			took, g.mib = append(took, t.Took), max(g.mib, float64(t.Resident)/1024)
		}
		g.took = median(took)
		list = append(list, g)
	}
	return list
}

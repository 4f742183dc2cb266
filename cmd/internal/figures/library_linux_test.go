package figures

import (
	"fmt"
	"path/filepath"

	"github.com/spawnward/spawnward/spawner"
)

// library is launches by a program that holds a launcher, with the embedded
// policy, step by step.
func (b *bench) library() {
	var l launches
	b.played(&l, "launches", b.backend, filepath.Join(b.dir, "library"), b.short, fmt.Sprint(5**rounds))
	control := median(l.Control)
	b.report.time("release", median(l.Release), control)
	var rows [][]string
	for _, s := range []spawner.Step{
		spawner.Resolve, spawner.Measure, spawner.Decide, spawner.Queue, spawner.Reuse, spawner.Shape,
		spawner.Log, spawner.Intend, spawner.Spawn, spawner.Verify, spawner.Probe, spawner.Record,
	} {
		m := median(l.Steps[s])
		rows = append(rows, []string{string(s), spell(m), times(float64(m), float64(control))})
	}
	m := median(l.Whole)
	rows = append(rows, []string{"**whole**", spell(m), times(float64(m), float64(control))})
	b.report.table(table{"One launch by a program that uses the library", []string{"step", "median", "to the control"}, rows,
		fmt.Sprintf("The digest is cached and the backend listens at once. A launch allocates %d times,\n%.0f KiB in all. "+
			"From decision to released child it takes %s; in the same run os/exec alone\nstarts the program in %s, and a line of 4 KiB is synced in %s.",
			median(l.Allocs), float64(median(l.Bytes))/1024, spell(median(l.Release)), spell(median(l.Start)), spell(median(l.Sync)))})
}

package figures

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/policy"
	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/service"
)

// roleEnv makes the test binary a program that uses the library.
const roleEnv = "SPAWNWARD_FIGURES_PLAY"

// play takes a role and writes what it found to standard output, as JSON.
func play(role string) error {
	args := os.Args[1:]
	var found any
	var err error
	switch role {
	case "launches":
		found, err = playLaunches(args[0], args[1], args[2], args[3])
	case "at once":
		found, err = playAtOnce(args[0], args[1], args[2], args[3])
	default:
		err = fmt.Errorf("there is no role %s", role)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}

// host is a program with a launcher of its own and the embedded policy.
func host(state, run string, o spawner.Observer) (*spawner.Local, error) {
	engine, err := policy.Load(context.Background(), policy.Options{})
	if err != nil {
		return nil, err
	}
	return spawner.New(spawner.Options{
		Decider: engine, StateDir: state, RuntimeDir: run, UserHash: "0123456789abcdef", Observer: o,
	})
}

func asked(program, name string) (spawner.Request, error) {
	d := service.Defaults()
	d.ServiceName, d.BinaryPath, d.PerVersionBinaryDir = name, program, filepath.Dir(program)
	d.Launch.Probe = service.ProbePeer
	loaded, err := service.New(&d, service.SourceLibrary)
	return spawner.Request{Service: name, Version: "1.0.0", Definition: loaded, Override: spawner.Override{Settle: time.Nanosecond}}, err
}

// launches is what playLaunches found: one entry a round.
type launches struct {
	Steps   map[spawner.Step][]time.Duration
	Release []time.Duration // from the end of the decision to that of the comparison
	Whole   []time.Duration
	Control []time.Duration
	Start   []time.Duration // of the same program by os/exec
	Sync    []time.Duration // of a line as long as one of the log
	Bytes   []uint64
	Allocs  []uint64
}

// Observe notes one step.
func (l *launches) Observe(_ context.Context, e spawner.Event) {
	l.Steps[e.Step] = append(l.Steps[e.Step], e.Took)
	now := time.Now()
	switch e.Step {
	case spawner.Decide:
		l.Release = append(l.Release, time.Duration(now.UnixNano()))
	case spawner.Verify:
		last := &l.Release[len(l.Release)-1]
		*last = now.Sub(time.Unix(0, int64(*last)))
	}
}

func playLaunches(program, state, run, n string) (*launches, error) {
	rounds, err := strconv.Atoi(n)
	if err != nil {
		return nil, err
	}
	found := &launches{Steps: map[spawner.Step][]time.Duration{}}
	if err := os.Mkdir(state, 0o700); err != nil {
		return nil, err
	}
	l, err := host(state, run, found)
	if err != nil {
		return nil, err
	}
	req, err := asked(program, "bench")
	if err != nil {
		return nil, err
	}
	for i := range rounds + 1 {
		if i == 1 { // the first round fills caches
			*found = launches{Steps: map[spawner.Step][]time.Duration{}}
		}
		begin := time.Now()
		if err := exec.Command(program, "end").Run(); err != nil {
			return nil, err
		}
		found.Control = append(found.Control, time.Since(begin))
		if err := found.unavoidable(program, state); err != nil {
			return nil, err
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		begin = time.Now()
		h, err := l.Launch(context.Background(), req)
		if err != nil {
			return nil, err
		}
		found.Whole = append(found.Whole, time.Since(begin))
		runtime.ReadMemStats(&after)
		found.Bytes, found.Allocs = append(found.Bytes, after.TotalAlloc-before.TotalAlloc), append(found.Allocs, after.Mallocs-before.Mallocs)
		if err := errors.Join(h.Kill(context.Background()), h.Close()); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// unavoidable is what nobody can do without who starts a program and remembers
// it: the start, and a line on disk.
func (l *launches) unavoidable(program, dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, "control"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	c := exec.Command(program, "end")
	begin := time.Now()
	if err := c.Start(); err != nil {
		return err
	}
	l.Start = append(l.Start, time.Since(begin))
	if err := c.Wait(); err != nil {
		return err
	}
	begin = time.Now()
	if _, err := f.Write(make([]byte, 4<<10)); err != nil {
		return err
	}
	err = unix.Fdatasync(int(f.Fd()))
	l.Sync = append(l.Sync, time.Since(begin))
	return err
}

// together is what playAtOnce found.
type together struct {
	Took     time.Duration
	Resident int // of the launching process at most, KiB
}

// playAtOnce launches n backends at once from one process.
func playAtOnce(program, state, run, n string) (*together, error) {
	count, err := strconv.Atoi(n)
	if err != nil {
		return nil, err
	}
	l, err := host(state, run, nil)
	if err != nil {
		return nil, err
	}
	handles, errs := make([]*spawner.Handle, count), make([]error, count)
	var wg sync.WaitGroup
	begin := time.Now()
	for i := range count {
		wg.Go(func() {
			var req spawner.Request
			if req, errs[i] = asked(program, fmt.Sprint("l", i)); errs[i] == nil {
				handles[i], errs[i] = l.Launch(context.Background(), req)
			}
		})
	}
	wg.Wait()
	found := &together{Took: time.Since(begin)}
	for _, h := range handles {
		if h != nil {
			errs = append(errs, h.Kill(context.Background()), h.Close())
		}
	}
	found.Resident, err = mostResident()
	return found, errors.Join(append(errs, err)...)
}

// mostResident is the most memory that this process kept, in KiB (proc(5)).
func mostResident() (int, error) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(data), "VmHWM:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0, errors.New("the system does not tell")
	}
	return strconv.Atoi(fields[0])
}

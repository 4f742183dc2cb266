package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"
)

// Outcome says how a case ended.
type Outcome string

// The outcomes. The last three are of a run with Options.Policy.
const (
	Held    Outcome = "held"    // everything was as expected
	Failed  Outcome = "failed"  // something was not, or the case could not be played
	Skipped Outcome = "skipped" // it cannot run here
	Waived  Outcome = "waived"  // the policy gives the promise up, and says where
	Tighter Outcome = "tighter" // the policy denies more than the library, as it may
	Broken  Outcome = "broken"  // the policy lost the promise, and nothing says that it was meant
)

// Options say what is judged.
type Options struct {
	// Program is the spawnward command: what is judged unless Launcher is given,
	// and always the backend of the cases.
	Program string
	// Launcher is the command line of another launcher; see [Request].
	Launcher []string
	// Policy is the site that stands in for the embedded library alone.
	Policy string
	// Parallel is how many cases are played at once; 0 is twice the processors.
	Parallel int
	// Progress is told of every case that has ended, one at a time.
	Progress func(done, all int, r *Result)
	// Faults is how a build with faults is driven; zero for a release, which knows
	// nothing of them, and whose cases that need them are skipped.
	Faults Faults
	// Mutant breaks one promise of a build with faults.
	Mutant string
	// Temp is where the run makes its directory; "" is /tmp, because the paths of
	// sockets are short.
	Temp string
}

// Faults names the variables that drive a build with the tag faults, which are
// those of package fault.
type Faults struct{ Step, Dir, Mutant string }

// Result is what became of one case.
type Result struct {
	ID       string   `json:"id"`
	File     string   `json:"file"`
	Title    string   `json:"title"`
	Requires []string `json:"requires"`
	Outcome  Outcome  `json:"outcome"`
	// Reason is why it was skipped, or what waives it.
	Reason string `json:"reason,omitempty"`
	// Seen lists what was not as expected.
	Seen []string `json:"seen,omitempty"`
	// Difference is how the answer under Options.Policy differs from that of the
	// embedded library.
	Difference []string `json:"difference,omitempty"`
	Millis     int64    `json:"ms"`

	launches bool // a backend was launched
}

// caseTime bounds one case, also on a machine that is busy with other things.
const caseTime = 60 * time.Second

type runner struct {
	o      Options
	ground *ground
	driver driver
	site   *site
	faults bool
}

// Run plays the cases. The error is trouble of the suite's own: without one, the
// report tells what held.
func Run(ctx context.Context, cases []*Case, o Options) (_ *Report, err error) {
	r := &runner{o: o, faults: o.Faults != Faults{} && hasFaults(ctx, o.Program)}
	if o.Policy != "" {
		if r.site, err = readSite(o.Policy); err != nil {
			return nil, fmt.Errorf("read the policy: %w", err)
		}
	}
	temp := o.Temp
	if temp == "" {
		temp = "/tmp"
	}
	if r.ground, err = newGround(temp, o.Program); err != nil {
		return nil, fmt.Errorf("make a directory for the cases: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(r.ground.dir)) }()
	r.driver = native{o.Program}
	if len(o.Launcher) > 0 {
		r.driver = foreign{o.Launcher}
	}
	report := &Report{Results: make([]*Result, len(cases))}
	begin := time.Now()
	r.all(ctx, cases, report.Results)
	report.Millis = time.Since(begin).Milliseconds()
	report.judge()
	return report, ctx.Err()
}

// all plays the cases side by side.
func (r *runner) all(ctx context.Context, cases []*Case, results []*Result) {
	n := r.o.Parallel
	if n <= 0 {
		n = 2 * runtime.GOMAXPROCS(0)
	}
	next := make(chan int)
	var workers sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range n {
		workers.Go(func() {
			for i := range next {
				results[i] = r.one(ctx, cases[i], i)
				mu.Lock()
				done++
				if r.o.Progress != nil {
					r.o.Progress(done, len(cases), results[i])
				}
				mu.Unlock()
			}
		})
	}
	for i := range cases {
		next <- i
	}
	close(next)
	workers.Wait()
}

func (r *runner) one(ctx context.Context, c *Case, n int) *Result {
	begin := time.Now()
	out := &Result{ID: c.ID, File: c.File, Title: c.Title, Requires: c.Requires, Outcome: Skipped, Reason: r.lacking(c)}
	if out.Reason != "" {
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, caseTime)
	defer cancel()
	judged, err := r.play(ctx, c, n, r.site)
	out.Seen = judged.seen
	out.launches = slices.ContainsFunc(judged.answers, (*result).succeeded)
	switch {
	case err != nil:
		out.Outcome, out.Seen = Failed, append(out.Seen, err.Error())
	case judged.unsupported != "":
		out.Reason = judged.unsupported
	case len(out.Seen) > 0:
		out.Outcome = Failed
	default:
		out.Outcome = Held
	}
	if r.site != nil && out.Outcome == Failed {
		r.explain(ctx, c, n, judged, out)
	}
	out.Millis = time.Since(begin).Milliseconds()
	return out
}

// judged is what came of playing a case once.
type judged struct {
	seen        []string
	answers     []*result
	unsupported string
}

// play plays a case in a tree of its own and takes everything away again.
func (r *runner) play(ctx context.Context, c *Case, n int, site *site) (out judged, err error) {
	t, err := r.ground.newTree(c, n)
	if t != nil {
		defer func() { err = errors.Join(err, t.end(), t.remove()) }()
	}
	if err != nil {
		return out, fmt.Errorf("set up: %w", err)
	}
	p := &play{tree: t, driver: r.driver, mutant: r.o.Mutant, faults: r.o.Faults}
	if p.policy, err = t.makePolicy(site); err != nil {
		return out, fmt.Errorf("set up the policy: %w", err)
	}
	err = p.steps(ctx)
	var no notSupported
	if errors.As(err, &no) {
		out.unsupported, err = "the launcher does not support it: "+string(no), nil
	}
	out.seen, out.answers = p.seen, p.answers
	return out, err
}

// notSupported is a foreign launcher's word that it cannot be asked that.
type notSupported string

func (n notSupported) Error() string { return string(n) }

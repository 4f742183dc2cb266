package conformance

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// watch is what happens beside a launcher while it runs.
type watch struct {
	begin func(pid int) // the launcher runs
	end   func() error  // it has ended
}

// arrange prepares what the step wants to happen at a point of the launch.
func (p *play) arrange(ctx context.Context, s *Step, r *request) (watch, error) {
	none := watch{begin: func(int) {}, end: func() error { return nil }}
	mutants := p.mutant
	if s.Fault != nil && s.Fault.Mutant != "" {
		mutants = strings.Trim(mutants+","+s.Fault.Mutant, ",")
	}
	if mutants != "" {
		r.env = append(r.env, p.faults.Mutant+"="+mutants)
	}
	switch f := s.Fault; {
	case s.Cancel != "":
		return p.cancelling(ctx, s.Cancel)
	case f == nil || f.At == "":
		return none, nil
	case f.Kill:
		r.env = append(r.env, p.faults.Step+"="+f.At+":kill")
		return none, nil
	default:
		return p.pausing(ctx, f, r)
	}
}

// pausing holds the launcher at a step while the tree changes.
func (p *play) pausing(ctx context.Context, f *Fault, r *request) (watch, error) {
	dir, err := os.MkdirTemp(p.root, "gate")
	if err != nil {
		return watch{}, err
	}
	g, err := newGate(dir)
	if err != nil {
		return watch{}, err
	}
	r.env = append(r.env, p.faults.Step+"="+f.At+":pause", p.faults.Dir+"="+dir)
	done := make(chan error, 1)
	go func() {
		for came := 0; ; came++ {
			if err := g.wait(ctx); err != nil {
				if came == 0 {
					done <- fmt.Errorf("the launcher never came to the step %q", f.At)
				} else {
					done <- nil
				}
				return
			}
			if came == 0 || f.Again {
				if err := p.make(f.Change); err != nil {
					done <- fmt.Errorf("at step %s: %w", f.At, err)
				}
			}
			if err := g.open(ctx); err != nil {
				done <- err
				return
			}
		}
	}()
	return watch{begin: func(int) {}, end: func() error {
		defer g.close()
		return <-done
	}}, nil
}

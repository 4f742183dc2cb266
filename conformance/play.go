package conformance

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// play is one case being played.
type play struct {
	*tree
	driver driver
	policy string
	mutant string
	faults Faults

	last    []*result // of the last step that asked a launcher
	lastPID int
	prevPID int
	answers []*result // all of them
	seen    []string  // what was not as expected
}

// steps plays the case. It stops at the first step that was not as expected: what
// follows would only confuse.
func (p *play) steps(ctx context.Context) error {
	for i := range p.c.Steps {
		s := &p.c.Steps[i]
		if err := p.step(ctx, s); err != nil {
			return fmt.Errorf("step %d (%s): %w", i+1, s.Do, err)
		}
		if len(p.seen) > 0 {
			if len(p.c.Steps) > 1 {
				for j := range p.seen {
					p.seen[j] = fmt.Sprintf("step %d (%s): %s", i+1, s.Do, p.seen[j])
				}
			}
			return nil
		}
	}
	return nil
}

func (p *play) step(ctx context.Context, s *Step) error {
	var err error
	switch s.Do {
	case "change":
		err = p.make(s.Files)
		p.last = nil
	case "signal":
		err = p.signals(ctx, s)
		p.last = nil
	case "connect":
		err = p.connect(ctx, s)
	default:
		for range max(1, s.Times) {
			if err = p.asks(ctx, s); err != nil {
				break
			}
		}
	}
	if err != nil {
		return err
	}
	if s.SaveAs != "" && len(p.last) > 0 {
		said := p.last[0].stdout
		if err := p.makeOne(File{Path: s.SaveAs, Content: &said, Verbatim: true}); err != nil {
			return err
		}
	}
	p.compare(s)
	return nil
}

// asks asks the launcher, several times at once if the step says so.
func (p *play) asks(ctx context.Context, s *Step) error {
	n := max(1, s.AtOnce)
	p.last = make([]*result, n)
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { p.last[i], errs[i] = p.ask(ctx, s, i) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	p.answers = append(p.answers, p.last...)
	if pid := p.last[0].pid(); pid != 0 {
		p.prevPID, p.lastPID = p.lastPID, pid
	}
	return nil
}

func (p *play) ask(ctx context.Context, s *Step, n int) (*result, error) {
	r := request{t: p.tree, step: s, verb: s.Do, policy: p.policy, env: p.environment(s)}
	name := "demo"
	if s.Service != nil {
		name = *s.Service
	}
	if len(s.Services) > 0 {
		name = s.Services[n%len(s.Services)]
	}
	r.ref = name + "@1.2.3"
	if s.Version != nil {
		r.ref = name + "@" + p.text(*s.Version)
		if *s.Version == "" {
			r.ref = name
		}
	}
	if s.Do == "ps" {
		r.ref = ""
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch, err := p.arrange(ctx, s, &r)
	if err != nil {
		return nil, err
	}
	out, err := p.driver.ask(ctx, r, watch.begin)
	cancel()
	return out, firstError(err, watch.end())
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// environment is a launcher's: nothing of the suite's own.
func (p *play) environment(s *Step) []string {
	env := map[string]string{
		"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME": filepath.Join(p.root, "home"), "XDG_STATE_HOME": p.stateHome(), "XDG_RUNTIME_DIR": p.runtime(),
		"XDG_CONFIG_HOME": filepath.Join(p.root, "home", "config"), "RUNNING_PROCESS_SERVICE_DEF_DIR": p.services(),
	}
	for _, vars := range []map[string]string{p.c.Env, s.Env} {
		for name, value := range vars {
			if env[name] = p.text(value); value == "" {
				delete(env, name)
			}
		}
	}
	var out []string
	for name, value := range env {
		out = append(out, name+"="+value)
	}
	slices.Sort(out)
	return out
}

// signals sends a signal to every backend of the case and, where the step says
// so, waits for their ends.
func (p *play) signals(ctx context.Context, s *Step) error {
	sig, err := signalNamed(s.Signal)
	if err != nil {
		return err
	}
	for _, pid := range p.alive() {
		if err := p.signal(pid, sig); err != nil {
			return err
		}
		if strings.HasSuffix(s.Signal, "STOP") {
			if err := p.stopped(ctx, pid); err != nil {
				return err
			}
		}
		if s.Gone && !p.gone(pid, 10_000) {
			return fmt.Errorf("process %d did not end", pid)
		}
	}
	return nil
}

// connect dials the backend of the last launch and exchanges bytes.
func (p *play) connect(ctx context.Context, s *Step) error {
	found := p.socketFiles()
	if len(found) == 0 {
		p.last = []*result{{stdout: "", stderr: "no socket"}}
		return nil
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", found[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	question, err := unhex(p.hexText(s.Send))
	if err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write(question); err != nil {
		return err
	}
	reply := make([]byte, 64<<10)
	var got []byte
	for len(got) < s.Receive {
		n, err := conn.Read(reply)
		got = append(got, reply[:n]...)
		if err != nil {
			break
		}
	}
	p.last = []*result{{stdout: fmt.Sprintf("%x", got)}}
	return nil
}

// hexText is digits, or the name of a golden file after "golden:".
func (p *play) hexText(s string) string {
	name, ok := strings.CutPrefix(s, "golden:")
	if !ok {
		return s
	}
	text, err := files.ReadFile("cases/golden/" + name + ".hex")
	if err != nil {
		return "no such golden file: " + name
	}
	return string(text)
}

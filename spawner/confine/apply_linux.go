package confine

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/admission"
)

// Applied is a plan whose kernel objects are open. Close it after use.
type Applied struct {
	plan     *Plan
	rulesets []int
	cgroup   int // its cgroup.procs; -1 for none
}

// Available names the kinds of confinement that this machine has; held says
// whether a child can be held before its first instruction. What a single value
// needs (a permission, a group that exists) is found by [Plan.Check].
func Available(held bool) []string {
	root, _, err := cgroupRoot()
	if err == nil {
		_ = unix.Close(root) // a directory: nothing can be lost
	}
	lacks := map[string]bool{
		"nice": !held, "oom_score_adj": !held, "limits": !held, "cgroup": !held || err != nil, "landlock": landlockReady() != nil,
	}
	return slices.DeleteFunc(admission.ConfineKeys(), func(key string) bool { return lacks[key] })
}

// Check finds out what of the plan cannot be had here, without doing it to
// anybody. The places of [New] need not exist yet, those that were asked for do.
func (p *Plan) Check() error {
	a, err := p.open(nil, true)
	if err != nil {
		return err
	}
	return a.Close()
}

// Open makes ready what the plan needs. binary is the file that will be
// executed.
func (p *Plan) Open(binary *os.File) (*Applied, error) { return p.open(binary, false) }

func (p *Plan) open(binary *os.File, early bool) (*Applied, error) {
	a := &Applied{plan: p, cgroup: -1}
	err := a.fill(binary, early)
	if err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *Applied) fill(binary *os.File, early bool) error {
	if a.plan.Cgroup != "" {
		fd, err := openGroup(a.plan.Cgroup)
		if err != nil {
			return lacking("cgroup", err)
		}
		a.cgroup = fd
	}
	for i := range a.plan.Landlock {
		fd, err := a.plan.Landlock[i].ruleset(binary, early)
		if err != nil {
			return lacking("landlock", err)
		}
		a.rulesets = append(a.rulesets, fd)
	}
	for name := range a.plan.Limits {
		if _, ok := resource(name); !ok {
			return lacking("limits."+name, errors.New("there is no such limit"))
		}
	}
	return a.plan.checkCaps()
}

// Close releases what Open took. It does not lift any confinement.
func (a *Applied) Close() error {
	var errs []error
	for _, fd := range a.rulesets {
		errs = append(errs, unix.Close(fd))
	}
	a.rulesets = nil
	if a.cgroup >= 0 {
		errs = append(errs, unix.Close(a.cgroup))
		a.cgroup = -1
	}
	return errors.Join(errs...)
}

// OnThread confines the calling thread, for good, and what it forks from then
// on. The thread must be locked, have a file-system context of its own
// (CLONE_FS), and end afterwards.
func (a *Applied) OnThread() error {
	p := a.plan
	if p.Umask != "" {
		mask, err := admission.ParseUmask(p.Umask)
		if err != nil {
			return lacking("umask", err)
		}
		unix.Umask(unix.Umask(0o777) | mask)
	}
	// Landlock binds only a thread that can gain no privileges.
	if p.NoNewPrivs || len(a.rulesets) > 0 {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return lacking("no_new_privs", err)
		}
	}
	for _, fd := range a.rulesets {
		if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(fd), 0, 0); errno != 0 {
			return lacking("landlock", errno)
		}
	}
	if err := p.dropCaps(); err != nil {
		return lacking("drop_caps", err)
	}
	return nil
}

// InStop confines the process pid, which must be held before its first
// instruction and cannot have been replaced by another one of that number.
func (a *Applied) InStop(pid int) error {
	p := a.plan
	if a.cgroup >= 0 {
		if _, err := unix.Write(a.cgroup, []byte(strconv.Itoa(pid))); err != nil {
			return lacking("cgroup", fmt.Errorf("move the process to %s: %w", p.Cgroup, err))
		}
	}
	if p.OOMScoreAdj != nil {
		if err := setOOMScoreAdj(pid, *p.OOMScoreAdj); err != nil {
			return lacking("oom_score_adj", err)
		}
	}
	if p.Nice != nil {
		if err := unix.Setpriority(unix.PRIO_PROCESS, pid, *p.Nice); err != nil {
			return lacking("nice", fmt.Errorf("set it to %d: %w", *p.Nice, err))
		}
	}
	for _, name := range sortedNames(p.Limits) {
		which, _ := resource(name)
		limit := p.Limits[name]
		if err := unix.Prlimit(pid, which, &unix.Rlimit{Cur: limit.Soft, Max: limit.Hard}, nil); err != nil {
			return lacking("limits."+name, fmt.Errorf("set it to %d, at most %d: %w", limit.Soft, limit.Hard, err))
		}
	}
	return nil
}

// ApplySelf confines the calling process for a program that the calling thread
// executes next; binary is that program's file. The thread must be locked. After
// an error the process is confined in part and should end.
func (p *Plan) ApplySelf(binary *os.File) error {
	a, err := p.Open(binary)
	if err != nil {
		return err
	}
	return errors.Join(a.InStop(0), a.OnThread(), a.Close())
}

func setOOMScoreAdj(pid, score int) error {
	of := "self"
	if pid != 0 {
		of = strconv.Itoa(pid)
	}
	fd, err := unix.Open("/proc/"+of+"/oom_score_adj", unix.O_WRONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	_, err = unix.Write(fd, []byte(strconv.Itoa(score)))
	if err := errors.Join(err, unix.Close(fd)); err != nil {
		return fmt.Errorf("set it to %d: %w", score, err)
	}
	return nil
}

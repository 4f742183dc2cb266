package spawner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spawnward/spawnward/spawner/process"
	"github.com/spawnward/spawnward/spawner/state"
	"github.com/spawnward/spawnward/spawner/wire"
)

// endSurvivors ends what is left of the session of a backend whose process has
// ended, and that is certainly its: it runs the recorded file, or was given the
// backend's endpoint in its environment. Others are left alone and named in the
// error.
func endSurvivors(ctx context.Context, r *state.Record) error {
	if r.Identity == nil {
		return nil
	}
	for {
		left, err := process.Survivors(r.Identity.PID, r.StartTicks)
		if err != nil {
			return err
		}
		ended := 0
		var strange []error
		for _, st := range left {
			if !runsRecorded(st.PID, r) && !carriesEndpoint(st.PID, r) {
				strange = append(strange, fmt.Errorf("process %d is of session %d, but nothing else says that it is of this backend; it is left alone", st.PID, st.Session))
				continue
			}
			if err := st.Kill(ctx); err != nil {
				return err
			}
			ended++
		}
		if ended == 0 {
			return errors.Join(strange...)
		}
	}
}

// unrecorded finds the process that a launcher started and did not live to write
// down: it runs the recorded file and was given the recorded endpoint.
func unrecorded(r *state.Record) (*process.Process, error) {
	all, err := process.All()
	if err != nil {
		return nil, err
	}
	for _, st := range all {
		if !runsRecorded(st.PID, r) || !(carriesEndpoint(st.PID, r) || mentionsEndpoint(st.PID, r)) {
			continue
		}
		p, err := process.Open(st.PID, st.StartTicks)
		if errors.Is(err, process.ErrGone) {
			continue
		}
		return p, err
	}
	return nil, nil
}

func runsRecorded(pid int, r *state.Record) bool {
	st, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid))
	return err == nil && sameInode(st, r.Binary) == nil
}

// carriesEndpoint looks into the environment that a process was started with.
// Some programs overwrite it, so its absence says nothing.
func carriesEndpoint(pid int, r *state.Record) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	want := []byte(wire.EnvBackendPipe + "=" + r.Endpoint.Path + "\x00")
	return err == nil && bytes.Contains(append(data, 0), want)
}

// mentionsEndpoint looks into the arguments. The endpoint's name is random: who
// has it was given it.
func mentionsEndpoint(pid int, r *state.Record) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && bytes.Contains(data, []byte(r.ID))
}

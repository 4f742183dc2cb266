package spawner_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/service"
)

// shaper has one hook a file name.
type shaper map[string]func(spawner.HookInput) (spawner.HookReply, error)

type hookModule struct {
	name string
	run  func(spawner.HookInput) (spawner.HookReply, error)
}

func (s shaper) OpenHook(_ int, path string) (spawner.HookModule, error) {
	name := filepath.Base(path)
	if s[name] == nil {
		return nil, errors.New("there is no such file")
	}
	return hookModule{name, s[name]}, nil
}

func (m hookModule) SHA256() string { return hookDigest(m.name) }

func (m hookModule) Run(_ context.Context, in spawner.HookInput) (spawner.HookReply, error) {
	return m.run(in)
}

func hookDigest(name string) string { return strings.Repeat(fmt.Sprintf("%02x", name[0]), 32) }

// listing admits the hooks of the input, whatever became of them.
type listing struct {
	decider
	phases *[]string
	hooks  *[]admission.HookRun
}

func (l listing) Decide(ctx context.Context, in *admission.Input) (admission.Decision, error) {
	d, err := l.decider.Decide(ctx, in)
	*l.phases, *l.hooks = append(*l.phases, in.Launcher.Phase), in.Hooks
	for _, h := range in.Hooks {
		d.Obligations.Hooks = append(d.Obligations.Hooks, h.Name)
	}
	return d, err
}

func withHooks(names ...string) func(*service.Definition) {
	return func(d *service.Definition) {
		d.Labels = map[string]string{"team": "a"}
		d.Launch.Env = map[string]string{"A": "0", "Z": "0"}
		for _, n := range names {
			d.Launch.Hooks = append(d.Launch.Hooks, service.Hook{Name: n, Path: "/hooks/" + n, SHA256: hookDigest(n), Config: map[string]any{"k": n}})
		}
	}
}

func set(name, value string) spawner.HookReply {
	return spawner.HookReply{Set: map[string]string{name: value}}
}

func shaped(w *world, phases *[]string, hooks *[]admission.HookRun, s shaper) *spawner.Local {
	w.o.Decider = listing{phases: phases, hooks: hooks}
	w.o.Shaper = s
	return w.local()
}

func TestHooksRunInOrder(t *testing.T) {
	w := newWorld(t)
	var phases []string
	var hooks []admission.HookRun
	l := shaped(w, &phases, &hooks, shaper{
		"x": func(in spawner.HookInput) (spawner.HookReply, error) {
			require.Equal(t, "0", in.Env["A"])
			require.Equal(t, map[string]string{"team": "a"}, in.Labels)
			require.Equal(t, map[string]any{"k": "x"}, in.Config)
			require.Equal(t, "app", in.Service)
			require.Len(t, in.BinarySHA256, 64)
			require.NotEmpty(t, in.Env["RUNNING_PROCESS_BROKER_V1_INSTANCE"])
			in.Env["LEAK"], in.Labels["team"] = "1", "b"
			return spawner.HookReply{Set: map[string]string{"A": "1", "B": "1"}, Unset: []string{"Z", "NONE"}, Warnings: []string{"\x1b[2J"}}, nil
		},
		"y": func(in spawner.HookInput) (spawner.HookReply, error) {
			require.Equal(t, "1", in.Env["A"])
			require.NotContains(t, in.Env, "Z")
			require.NotContains(t, in.Env, "LEAK", "a hook's input is its own")
			require.Equal(t, "a", in.Labels["team"])
			r := set("A", "2")
			r.Set["RUNNING_PROCESS_BROKER_V1_INSTANCE"] = "forged"
			r.Unset = []string{"RUNNING_PROCESS_IS_DAEMON"}
			return r, nil
		},
	})
	r, err := l.Check(context.Background(), w.request("good", withHooks("x", "y")))
	require.NoError(t, err)
	require.Equal(t, spawner.Allowed, r.Outcome)
	require.Equal(t, []string{admission.PhaseAdmit, admission.PhaseFinal}, phases)
	env := map[string]admission.EnvVar{}
	for _, v := range r.Input.Env {
		env[v.Name] = v
	}
	require.Equal(t, admission.EnvVar{Name: "A", Value: "2", Origin: "hook:y"}, env["A"])
	require.Equal(t, admission.EnvVar{Name: "B", Value: "1", Origin: "hook:x"}, env["B"])
	require.NotContains(t, env, "Z")
	require.Equal(t, admission.OriginContract, env["RUNNING_PROCESS_BROKER_V1_INSTANCE"].Origin, "no hook speaks for the launcher")
	require.Equal(t, "private:app", env["RUNNING_PROCESS_BROKER_V1_INSTANCE"].Value)
	require.Equal(t, "1", env["RUNNING_PROCESS_IS_DAEMON"].Value)
	require.Equal(t, []string{"A", "B"}, hooks[0].Set)
	require.Equal(t, []string{"NONE", "Z"}, hooks[0].Unset)
	require.Equal(t, []spawner.HookWarning{{Hook: "x", Message: `"\x1b[2J"`}}, r.HookWarnings)
	w.clean(t)
}

func TestFailedHooksStartNothing(t *testing.T) {
	fails := func(spawner.HookInput) (spawner.HookReply, error) {
		return spawner.HookReply{}, code.New("", code.HookFailed, errors.New("it failed"))
	}
	never := func(spawner.HookInput) (spawner.HookReply, error) { panic("it runs after a failed one") }
	good := func(spawner.HookInput) (spawner.HookReply, error) { return set("A", "1"), nil }
	rejects := func(spawner.HookInput) (spawner.HookReply, error) {
		return spawner.HookReply{Reject: &spawner.HookRejection{Code: "no\n", Message: "\x1b"}}, nil
	}
	relative := withHooks("x")
	for name, c := range map[string]struct {
		first  func(spawner.HookInput) (spawner.HookReply, error)
		change func(*service.Definition)
		error  code.Code
		detail string
	}{
		"fails":         {fails, withHooks("x", "y"), code.HookFailed, "it failed"},
		"rejects":       {rejects, withHooks("x", "y"), code.HookRejected, `"no\n": "\x1b"`},
		"missing":       {nil, withHooks("x", "y"), code.HookFailed, "no such file"},
		"other digest":  {good, func(d *service.Definition) { withHooks("x")(d); d.Launch.Hooks[0].SHA256 = hookDigest("z") }, code.HookDigestMismatch, hookDigest("x")},
		"relative path": {good, func(d *service.Definition) { relative(d); d.Launch.Hooks[0].Path = "x" }, code.ServiceInvalid, "write it absolute"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			var phases []string
			var hooks []admission.HookRun
			l := shaped(w, &phases, &hooks, shaper{"x": c.first, "y": never})
			// This policy admits whatever became of the hooks; the launcher does not.
			h, err := l.Launch(context.Background(), w.request("good", c.change))
			require.Nil(t, h)
			var pe *spawner.PolicyError
			require.ErrorAs(t, err, &pe)
			require.ErrorContains(t, err, "admitted a launch with the hook")
			require.Equal(t, string(c.error), hooks[0].Error)
			require.Contains(t, hooks[0].Detail, c.detail)
			require.False(t, hooks[0].Ran)
			w.clean(t)
		})
	}
}

func TestHooksNeedAShaperAndAnAdmission(t *testing.T) {
	w := newWorld(t)
	req := w.request("good", withHooks("x"))
	_, err := w.local().Launch(context.Background(), req)
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "Options.Shaper")
	// A decider that has never heard of hooks admits none.
	w.o.Shaper = shaper{"x": func(spawner.HookInput) (spawner.HookReply, error) { panic("it runs") }}
	_, err = w.local().Launch(context.Background(), req)
	var pe *spawner.PolicyError
	require.ErrorAs(t, err, &pe)
	require.ErrorContains(t, err, "not those of the definition")
	w.clean(t)
}

// A caller that gives up during a hook gets its own error, not a verdict on it.
func TestCancelledHook(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(context.Background())
	var phases []string
	var hooks []admission.HookRun
	l := shaped(w, &phases, &hooks, shaper{"x": func(spawner.HookInput) (spawner.HookReply, error) {
		cancel()
		return spawner.HookReply{}, context.Canceled
	}})
	_, err := l.Launch(ctx, w.request("good", withHooks("x")))
	got, _ := code.Of(err)
	require.Equal(t, code.Canceled, got)
	require.Equal(t, []string{admission.PhaseAdmit}, phases)
	w.clean(t)
}

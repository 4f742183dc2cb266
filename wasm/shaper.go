package wasm

import (
	"context"
	"errors"

	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/code"
)

// Shaper runs the hooks of launches: [spawner.Options] take one. Without a
// worker every hook fails, as with [Run].
type Shaper struct{ Options Options }

// OpenHook is [Read]; a launch compares the digest itself, and policy once more.
func (s Shaper) OpenHook(uid int, path string) (spawner.HookModule, error) {
	m, err := Read(uid, path)
	if m == nil {
		return nil, err
	}
	return opened{m, s.Options}, err
}

// opened is a module with how it is run.
type opened struct {
	module *Module
	o      Options
}

func (h opened) SHA256() string { return h.module.SHA256 }

// Run is [Run]. What a hook wrote to standard error comes with both a reply and
// an error.
func (h opened) Run(ctx context.Context, in spawner.HookInput) (spawner.HookReply, error) {
	result, err := Run(ctx, Hook{Name: in.Name, Module: h.module}, Input{
		Service: in.Service, Version: in.Version, Instance: in.Instance,
		Binary: Binary{Path: in.BinaryPath, SHA256: in.BinarySHA256},
		Args:   in.Args, Env: in.Env, Labels: in.Labels, Config: in.Config,
	}, h.o)
	var failed *Error
	switch {
	case err == nil:
		r := result.Reply
		return spawner.HookReply{Set: r.Set, Unset: r.Unset, Warnings: r.Warnings, Stderr: result.Stderr}, nil
	case !errors.As(err, &failed):
		return spawner.HookReply{}, err
	case failed.Rejection != nil:
		no := spawner.HookRejection{Code: failed.Rejection.Code, Message: failed.Rejection.Message}
		return spawner.HookReply{Reject: &no, Stderr: failed.Stderr}, nil
	}
	return spawner.HookReply{Stderr: failed.Stderr}, code.New("", failed.C, failed.Err)
}

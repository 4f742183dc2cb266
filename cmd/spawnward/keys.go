package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spawnward/spawnward/policy"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/private"
)

// maxKeyFile bounds a file with a key, in bytes.
const maxKeyFile = 64 << 10

// verificationKeys are those of the pinned file, or of them those that flags
// name, or where none is pinned those that flags name.
func (a *app) verificationKeys(pinned *pinnedFile) ([]*policy.Key, error) {
	root, err := readKeys(a.trustedUID, pinned.VerificationKeys)
	if err != nil {
		return nil, code.New("read "+pinned.path, code.ConfigInvalid, err)
	}
	own, err := readKeys(os.Geteuid(), a.flags.keys)
	if err != nil {
		return nil, usage("", "--verification-key: %w", err)
	}
	if len(own) == 0 {
		return root, nil
	}
	for i, k := range own {
		known := slices.ContainsFunc(root, func(r *policy.Key) bool { return r.ID() == k.ID() })
		if len(root) > 0 && !known {
			return nil, usage("", "--verification-key %s: %s does not list this key (%s), and a flag cannot add one", a.flags.keys[i], pinned.path, k.ID())
		}
	}
	return own, nil
}

// readKeys reads public keys from files that only root or the user can write.
func readKeys(uid int, files []string) ([]*policy.Key, error) {
	var keys []*policy.Key
	for _, file := range files {
		text, err := readOwn(uid, file, maxKeyFile)
		if err != nil {
			return nil, err
		}
		key, err := policy.ParseKey(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

func readOwn(uid int, file string, limit int64) ([]byte, error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	return private.ReadTrusted(uid, path, limit)
}

// loadSigned loads a signed bundle; which one was the newest is remembered in
// the user's state directory.
func (a *app) loadSigned(ctx context.Context, o policy.Options) (*policy.Engine, error) {
	l, err := a.launcher(nil)
	if err != nil {
		return nil, err
	}
	dir, err := l.PrivateDir("bundles")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	o.Marks = policy.NewMarkDir(dir)
	e, err := policy.Load(ctx, o)
	if err != nil {
		return nil, err
	}
	for _, w := range e.Warnings() {
		if w.Kind == policy.FirstBundle {
			a.tell(w)
		}
	}
	return e, nil
}

// tell prints a warning. One that nobody can read ends nothing.
func (a *app) tell(w policy.Warning) {
	_, _ = fmt.Fprintf(a.stderr, "spawnward: warning: %s: %s\n", safe(w.Where, false), safe(w.Message, false))
}

// inspectionKeys are those that flags name; what a machine accepts is no matter
// for who writes policy.
func (a *app) inspectionKeys() ([]*policy.Key, error) {
	keys, err := readKeys(os.Geteuid(), a.flags.keys)
	if err != nil {
		return nil, usage("", "--verification-key: %w", err)
	}
	return keys, nil
}

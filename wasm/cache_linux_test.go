//go:build amd64 || arm64

package wasm

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/code"
)

func cached(t testing.TB) (Options, string) {
	t.Helper()
	dir := t.TempDir()
	return Options{Worker: RunWorker(), Engine: Compiler, Deadline: 20 * time.Second, Cache: CacheAt(dir, "hooks")}, filepath.Join(dir, "hooks")
}

// codeOf lets a worker compile a module.
func codeOf(t *testing.T, h Hook) []byte {
	t.Helper()
	a, err := inWorker(t.Context(), RunWorker().path, job{engine: compileOnly, seconds: 20, parts: [4][]byte{[]byte("h"), h.Module.code}}, nil)
	require.NoError(t, err)
	require.NoError(t, a.problem())
	require.Greater(t, len(a.parts[3]), 32, "this release of the engine gives no code; see precompiled.cache")
	require.Empty(t, a.parts[1], "nothing of the module runs")
	return a.parts[3]
}

func TestCacheKeepsCode(t *testing.T) {
	o, dir := cached(t)
	a, b := hookOf(t, says(goodReply)), hookOf(t, says(`{"v":1,"set":{"B":"1"}}`))
	sets := func(h Hook, name string) {
		t.Helper()
		result, err := Run(t.Context(), h, Input{}, o)
		require.NoError(t, err)
		require.Contains(t, result.Reply.Set, name)
	}
	at := filepath.Join(dir, entryName(a.Module.SHA256))
	sets(a, "REGION")
	entry, err := os.ReadFile(at)
	require.NoError(t, err)
	require.Contains(t, string(entry), string(codeOf(t, a)))
	sets(a, "REGION")
	sets(b, "B")

	// What is damaged, cut off or of another module is made anew.
	other, err := os.ReadFile(filepath.Join(dir, entryName(b.Module.SHA256)))
	require.NoError(t, err)
	for i, bad := range [][]byte{{}, entry[:len(entry)-1], append(bytes.Clone(entry[:len(entry)-1]), entry[len(entry)-1]^1), other, []byte("x")} {
		require.NoError(t, os.WriteFile(at, bad, 0o600))
		sets(a, "REGION")
		now, err := os.ReadFile(at)
		require.NoError(t, err)
		require.Equal(t, entry, now, "%d", i)
	}
	noneLeft(t)
}

// TestGivenCodeIsWhatRuns shows what the directory is private for.
func TestGivenCodeIsWhatRuns(t *testing.T) {
	a, b := hookOf(t, says(goodReply)), hookOf(t, command(exit(7)))
	forged := append(bytes.Clone(codeOf(t, a)[:32]), codeOf(t, b)[32:]...)
	j := job{engine: compileRun, seconds: 20, parts: [4][]byte{[]byte("h"), a.Module.code, []byte("{}"), forged}}
	answer, err := inWorker(t.Context(), RunWorker().path, j, nil)
	require.NoError(t, err)
	require.EqualValues(t, 7, answer.status)
	// Under another key it is nothing.
	j.parts[3] = codeOf(t, b)
	answer, err = inWorker(t.Context(), RunWorker().path, j, nil)
	require.NoError(t, err)
	require.Zero(t, answer.status)
	require.Equal(t, goodReply, string(answer.parts[1]))
}

func TestCacheOfOthersIsRefused(t *testing.T) {
	o, dir := cached(t)
	h := hookOf(t, says(goodReply))
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Chmod(dir, 0o777))
	_, err := Run(t.Context(), h, Input{}, o)
	got, _ := code.Of(err)
	require.Equal(t, code.HookFailed, got)
	require.ErrorContains(t, err, "open the cache of compiled hooks")
	require.NoError(t, os.Remove(dir))
	require.NoError(t, os.Symlink(t.TempDir(), dir))
	_, err = Run(t.Context(), h, Input{}, o)
	require.ErrorContains(t, err, "open the cache of compiled hooks")
	// The interpreter needs none; where none can be made there is none.
	o.Engine = Interpreter
	_, err = Run(t.Context(), h, Input{}, o)
	require.NoError(t, err)
	o.Engine, o.Cache = Compiler, CacheAt("/proc/self", "hooks")
	_, err = Run(t.Context(), h, Input{}, o)
	require.NoError(t, err)
}

// What cannot be compiled in time leaves nothing in the cache.
func TestCacheAndCompileBombs(t *testing.T) {
	o, dir := cached(t)
	o.Deadline = 100 * time.Millisecond
	_, err := Run(context.Background(), hookOf(t, hostile()["if chains"].guest), Input{}, o)
	require.Error(t, err)
	names, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, names)
	noneLeft(t)

	o.Deadline = 20 * time.Second
	for i := range maxEntries {
		require.NoError(t, os.WriteFile(filepath.Join(dir, string(rune('a'+i))), nil, 0o600))
	}
	_, err = Run(context.Background(), hookOf(t, says(goodReply)), Input{}, o)
	require.NoError(t, err)
	names, err = os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, names, 1)
}

package flight

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fswalk"
	"github.com/spawnward/spawnward/spawner/private"
)

func field(t *testing.T, parent, boot string) *Field {
	t.Helper()
	dir, err := private.Open(fswalk.NewIdentities(os.Geteuid()), parent, "flight")
	require.NoError(t, err)
	f := Open(dir, Holder{PID: os.Getpid(), StartTicks: 1, BootID: boot})
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f
}

// Many take turns, each ending by removing the file: no two have it at once.
func TestOneTurnAtATime(t *testing.T) {
	f := field(t, t.TempDir(), "boot")
	key := Key{"private:app", "app", "1.0.0"}
	var wg sync.WaitGroup
	var mu sync.Mutex
	turns := 0
	for range 8 {
		wg.Go(func() {
			for mine := 0; mine < 25; {
				turn, err := f.Try(key, time.Second)
				var busy *Busy
				if errors.As(err, &busy) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if !mu.TryLock() {
					t.Error("two have the turn")
				}
				turns++
				mine++
				mu.Unlock()
				if err := turn.End(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, 200, turns)
	names, err := f.dir.Names()
	require.NoError(t, err)
	require.Empty(t, names)
}

func TestBusyNamesTheHolder(t *testing.T) {
	f := field(t, t.TempDir(), "boot")
	key := Key{"private:app", "app", "1.0.0"}
	turn, err := f.Try(key, time.Minute)
	require.NoError(t, err)
	_, err = f.Try(key, time.Minute)
	var busy *Busy
	require.ErrorAs(t, err, &busy)
	require.Equal(t, key, busy.Holder.Key)
	require.Equal(t, os.Getpid(), busy.Holder.PID)
	require.Greater(t, busy.Remaining, time.Duration(0))
	require.LessOrEqual(t, busy.Remaining, time.Minute)
	require.NoError(t, os.WriteFile(filepath.Join(f.dir.Path(), key.file()+".lock"), nil, 0o600))
	_, err = f.Try(key, time.Minute)
	require.ErrorAs(t, err, &busy, "what the file tells does not matter")
	require.Nil(t, busy.Holder)
	require.NoError(t, turn.End())
}

func TestBudgetOfAnotherBootOrClock(t *testing.T) {
	parent := t.TempDir()
	turn, err := field(t, parent, "boot").Try(Key{}, time.Second)
	require.NoError(t, err)
	for range Limit {
		require.NoError(t, turn.Charge())
	}
	after, err := turn.RetryAfter()
	require.NoError(t, err)
	require.Greater(t, after, Window-10*time.Second)
	path := filepath.Join(turn.f.dir.Path(), turn.budgetFile())
	write := func(b budget) {
		data, err := json.Marshal(b)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, data, 0o600))
	}
	ahead := time.Duration(1) << 60
	write(budget{1, "boot", []time.Duration{ahead, ahead, ahead}})
	after, err = turn.RetryAfter()
	require.NoError(t, err)
	require.Equal(t, Window, after, "a time to come counts from now on")
	write(budget{1, "boot", []time.Duration{0, 0, 1}})
	spent, err := turn.spent(Window + 1) // this machine may have begun just now
	require.NoError(t, err)
	require.Empty(t, spent)
	write(budget{1, "another", []time.Duration{ahead, ahead, ahead}})
	after, err = turn.RetryAfter()
	require.NoError(t, err)
	require.Zero(t, after)
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err = turn.RetryAfter()
	c, _ := code.Of(err)
	require.Equal(t, code.RecordCorrupt, c)
	require.Error(t, turn.Charge())
	require.NoError(t, turn.Reset())
	require.NoError(t, turn.End())
}

func FuzzBudget(f *testing.F) {
	f.Add([]byte(`{"schema":1,"boot_id":"b","released_ns":[1,2,3]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := decodeBudget(data)
		if err == nil && (len(b.Released) == 0 || len(b.Released) > Limit || b.BootID == "") {
			t.Fatalf("%q was taken", data)
		}
	})
}

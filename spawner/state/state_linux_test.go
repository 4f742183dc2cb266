package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/endpoint"
	"github.com/spawnward/spawnward/spawner/fswalk"
)

const userHash = "0123456789abcdef"

// example is a complete record with the id made of the digit.
func example(digit string, service, version string) *Record {
	id, sum := strings.Repeat(digit, 32), strings.Repeat("5a", 32)
	at := endpoint.Endpoint{NamespaceID: "private:" + service, Path: "/run/user/7/running-process/broker/rpb-v1-" + userHash + "-be-" + id + ".sock"}
	idle := int64(30)
	return &Record{
		Schema: 1, ID: id, Phase: Ready, Service: service, Version: version, Instance: "private:" + service,
		DefinitionSHA256: sum, ObligationsSHA256: sum,
		Binary:   Binary{Path: "/opt/<web> & co/bin", SHA256: sum, Device: 2049, Inode: 77},
		Endpoint: at, Launcher: Launcher{PID: 10, StartTicks: 99}, MachineID: "m", BootID: "b", PIDNamespace: 4026531836,
		Binding: admission.Verified, Probe: "identity", SettleMS: 20, RunDir: "/state/run/" + id, DecisionID: strings.Repeat("d", 32),
		StartTicks: 12345,
		Identity:   &Identity{PID: 11, ExePath: "/opt/<web> & co/bin", ExeSHA256: sum, BootID: "b", Endpoint: at, StartedAtUnixMS: 1, IdleTimeoutSecs: &idle},
	}
}

// intent is the record as it is before there is a process.
func intent(digit string) *Record {
	r := example(digit, "web", "1.0.0")
	r.Phase, r.StartTicks, r.Identity = Intent, 0, nil
	return r
}

func store(t *testing.T) *Store {
	t.Helper()
	s, err := Open(fswalk.NewIdentities(os.Geteuid()), t.TempDir(), "spawnward", userHash)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func text(t *testing.T, r *Record) string {
	t.Helper()
	data, err := json.Marshal(r)
	require.NoError(t, err)
	return string(data)
}

func TestRoundTrip(t *testing.T) {
	s := store(t)
	forever := example("3", "web", "1.0.0")
	forever.Identity.IdleTimeoutSecs = nil
	starting := example("4", "web", "1.0.0-rc.1")
	starting.Phase = Starting
	want := []*Record{intent("1"), example("2", "web", "1.0.0"), forever, starting}
	for _, r := range want {
		require.NoError(t, s.Put(r))
		require.NoError(t, s.Put(r), "twice is the same")
	}
	got, bad := s.List("", "")
	require.Empty(t, bad)
	require.ElementsMatch(t, want, got)
	for _, r := range want {
		require.NoError(t, s.Remove(r))
		require.NoError(t, s.Remove(r), "twice is no error")
	}
	got, bad = s.List("", "")
	require.Empty(t, bad)
	require.Empty(t, got)
}

func TestListFilters(t *testing.T) {
	s := store(t)
	for digit, sv := range map[string][2]string{"1": {"web", "1.0.0"}, "2": {"web", "1.0.0"}, "3": {"web", "2.0.0"}, "4": {"db", "1.0.0"}, "5": {"web-2", "1.0.0"}} {
		require.NoError(t, s.Put(example(digit, sv[0], sv[1])))
	}
	for _, c := range []struct {
		service, version string
		want             string // the first digits of the ids
	}{
		{"", "", "45123"}, {"web", "", "123"}, {"web", "1.0.0", "12"}, {"", "1.0.0", "4512"}, {"db", "1.0.0", "4"},
		{"db", "2.0.0", ""}, {"we", "", ""}, {"web", "1.0", ""}, {"web@1.0.0", "", ""}, {"../web", "", ""},
	} {
		records, bad := s.List(c.service, c.version)
		require.Empty(t, bad)
		got := ""
		for _, r := range records {
			got += r.ID[:1]
		}
		require.Equal(t, c.want, got, "%s@%s", c.service, c.version)
	}
}

func TestDecodeIsStrict(t *testing.T) {
	good := example("a", "web", "1.0.0")
	change := func(f func(r *Record)) string {
		r := example("a", "web", "1.0.0")
		f(r)
		return text(t, r)
	}
	swap := func(old, new string) string {
		require.Contains(t, text(t, good), old)
		return strings.Replace(text(t, good), old, new, 1)
	}
	for name, given := range map[string]string{
		"empty":                    "",
		"null":                     "null",
		"a list":                   "[]",
		"a number":                 "1",
		"empty object":             "{}",
		"cut off":                  text(t, good)[:200],
		"zero bytes":               "\x00\x00\x00\x00",
		"two records":              text(t, good) + text(t, good),
		"trailing brace":           text(t, good) + "}",
		"trailing word":            text(t, good) + " true",
		"trailing NUL":             text(t, good) + "\x00",
		"unknown field":            swap(`"schema":1`, `"schema":1,"more":1`),
		"unknown field inside":     swap(`"inode":77`, `"inode":77,"more":1`),
		"field twice":              swap(`"schema":1`, `"schema":1,"schema":1`),
		"field twice inside":       swap(`"inode":77`, `"inode":76,"inode":77`),
		"field in capitals":        swap(`"schema"`, `"Schema"`),
		"pid twice in two cases":   swap(`"pid":11`, `"pid":11,"PID":12`),
		"field missing":            swap(`"boot_id":"b",`, ``),
		"field null":               swap(`"pid_namespace":4026531836`, `"pid_namespace":null`),
		"number as text":           swap(`"schema":1`, `"schema":"1"`),
		"number with fraction":     swap(`"start_ticks":12345`, `"start_ticks":12345.0`),
		"negative ticks":           swap(`"start_ticks":12345`, `"start_ticks":-1`),
		"not UTF-8":                swap(`/opt/`, "/op\xff/"),
		"schema 0":                 change(func(r *Record) { r.Schema = 0 }),
		"schema 2":                 change(func(r *Record) { r.Schema = 2 }),
		"no phase":                 change(func(r *Record) { r.Phase = "" }),
		"phase of the future":      change(func(r *Record) { r.Phase = "done" }),
		"no id":                    change(func(r *Record) { r.ID = "" }),
		"short id":                 change(func(r *Record) { r.ID = r.ID[1:] }),
		"id in capitals":           change(func(r *Record) { r.ID = strings.ToUpper(r.ID) }),
		"id with a path":           change(func(r *Record) { r.ID = "../" + r.ID[3:] }),
		"id of another endpoint":   change(func(r *Record) { r.ID = strings.Repeat("b", 32) }),
		"relative endpoint":        change(func(r *Record) { r.Endpoint.Path = r.Endpoint.Path[1:] }),
		"no endpoint":              change(func(r *Record) { r.Endpoint.Path = "" }),
		"ready without identity":   change(func(r *Record) { r.Identity = nil }),
		"ready without start time": change(func(r *Record) { r.StartTicks = 0 }),
		"pid 0":                    change(func(r *Record) { r.Identity.PID = 0 }),
		"pid -1":                   change(func(r *Record) { r.Identity.PID = -1 }),
		"starting without process": change(func(r *Record) { r.Phase, r.Identity = Starting, nil }),
		"short digest":             change(func(r *Record) { r.Identity.ExeSHA256 = "5a" }),
		"no digest":                change(func(r *Record) { r.Identity.ExeSHA256 = "" }),
		"digest that is none":      change(func(r *Record) { r.Identity.ExeSHA256 = strings.Repeat("xy", 32) }),
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Decode([]byte(given))
			require.Error(t, err)
			require.Nil(t, r)
		})
	}
	spaced, err := json.MarshalIndent(good, " ", "\t")
	require.NoError(t, err)
	r, err := Decode(append(spaced, " \n\n"...))
	require.NoError(t, err)
	require.Equal(t, good, r)
}

func TestPutRefusesWhatCouldNotBeReadAgain(t *testing.T) {
	s := store(t)
	for name, change := range map[string]func(r *Record){
		"no process":     func(r *Record) { r.Identity = nil },
		"not UTF-8":      func(r *Record) { r.Binary.Path = "/\xff" },
		"too large":      func(r *Record) { r.RunDir = strings.Repeat("x", maxRecord) },
		"a path as name": func(r *Record) { r.Service = "../../x" },
	} {
		t.Run(name, func(t *testing.T) {
			r := example("1", "web", "1.0.0")
			change(r)
			err := s.Put(r)
			require.Error(t, err)
			c, _ := code.Of(err)
			require.Equal(t, code.StateFailed, c)
			records, bad := s.List("", "")
			require.Empty(t, records)
			require.Empty(t, bad)
		})
	}
}

// What is no record is reported, stays where it is and hides no other.
func TestCorruptFiles(t *testing.T) {
	s := store(t)
	good := example("1", "web", "1.0.0")
	require.NoError(t, s.Put(good))
	at := func(name string) string { return filepath.Join(s.backends.Path(), name) }
	whole := text(t, good)
	long := example("2", "web", "1.0.0")
	long.RunDir = strings.Repeat("x", maxRecord)
	for name, content := range map[string]string{
		"web@1.0.0@" + strings.Repeat("3", 32) + ".json": whole,
		"web@2.0.0@" + strings.Repeat("1", 32) + ".json": whole,
		"db@1.0.0@" + strings.Repeat("1", 32) + ".json":  whole,
		"web@1.0.0@" + strings.Repeat("1", 32):           whole,
		"web@1.0.0@" + strings.Repeat("2", 32) + ".json": text(t, long),
		"note": "remember the milk",
	} {
		require.NoError(t, os.WriteFile(at(name), []byte(content), 0o600))
	}
	require.NoError(t, os.Mkdir(at("dir.json"), 0o700))
	require.NoError(t, os.Symlink("note", at("link.json")))
	require.NoError(t, unix.Mkfifo(at("fifo.json"), 0o600))
	before, err := s.backends.Names()
	require.NoError(t, err)

	records, bad := s.List("", "")
	require.Equal(t, []*Record{good}, records)
	require.Len(t, bad, len(before)-1)
	for _, err := range bad {
		c, _ := code.Of(err)
		require.Equal(t, code.RecordCorrupt, c)
		require.ErrorContains(t, err, s.backends.Path(), "the file is named")
	}
	after, err := s.backends.Names()
	require.NoError(t, err)
	require.Equal(t, before, after)

	records, bad = s.List("db", "")
	require.Empty(t, records)
	require.NotEmpty(t, bad, "a file that cannot be told is reported to everyone")
	require.Less(t, len(bad), len(before)-1, "other services' files are not looked at")
}

func TestLeftoversOfACrashAreIgnored(t *testing.T) {
	s := store(t)
	require.NoError(t, s.Put(example("1", "web", "1.0.0")))
	require.NoError(t, os.WriteFile(filepath.Join(s.backends.Path(), ".tmp-0123456789abcdef"), []byte(`{"schema":`), 0o600))
	records, bad := s.List("", "")
	require.Len(t, records, 1)
	require.Empty(t, bad)
}

func TestListWhileRecordsComeAndGo(t *testing.T) {
	s := store(t)
	stays := example("1", "web", "1.0.0")
	require.NoError(t, s.Put(stays))
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() {
			r := example(string("2345"[i]), "web", "1.0.0")
			for range 20 {
				errs[i] = errors.Join(errs[i], s.Put(r), s.Remove(r))
			}
		})
	}
	for range 50 {
		records, bad := s.List("web", "1.0.0")
		require.Empty(t, bad)
		require.Contains(t, records, stays)
	}
	wg.Wait()
	require.NoError(t, errors.Join(errs...))
}

func TestRunDirectories(t *testing.T) {
	s := store(t)
	id := strings.Repeat("1", 32)
	require.NoError(t, s.MakeRun(id, map[string]string{"a.conf": "one", "b.conf": ""}))
	data, err := os.ReadFile(filepath.Join(s.RunPath(id), "a.conf"))
	require.NoError(t, err)
	require.Equal(t, "one", string(data))
	link, err := s.MakeLink(id)
	require.NoError(t, err)
	require.NotEqual(t, s.RunPath(id), link)
	for _, dir := range []string{s.Path(), s.RunPath(id), link} {
		st, err := os.Stat(dir)
		require.NoError(t, err)
		require.Equal(t, os.ModeDir|0o700, st.Mode())
	}
	for range 2 {
		require.NoError(t, s.RemoveLink(id))
		require.NoDirExists(t, link)
		require.DirExists(t, s.RunPath(id))
	}
	for range 2 {
		require.NoError(t, s.RemoveRun(id))
		require.NoDirExists(t, s.RunPath(id))
	}
	for _, name := range []string{"", "..", "a/b"} {
		require.Error(t, s.MakeRun(name, nil))
		require.Error(t, s.RemoveRun(name))
	}
	require.Error(t, s.MakeRun(id, map[string]string{"../escape": "x"}))
	require.NoFileExists(t, filepath.Join(s.run.Path(), "escape"))
}

func TestOpenRefusesAnUnsafePlace(t *testing.T) {
	ids := fswalk.NewIdentities(os.Geteuid())
	base := t.TempDir()
	count := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(names)
	}
	s, err := Open(ids, base, "spawnward", userHash)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	before := count()
	for _, name := range []string{"", "backends", "run"} {
		path := filepath.Join(base, "spawnward", userHash, name)
		require.NoError(t, unix.Chmod(path, 0o770))
		_, err := Open(ids, base, "spawnward", userHash)
		c, _ := code.Of(err)
		require.Equal(t, code.DirectoryUnsafe, c)
		require.NoError(t, unix.Chmod(path, 0o700))
	}
	_, err = Open(ids, base, "../elsewhere")
	require.Error(t, err)
	require.Equal(t, before, count(), "descriptors leaked")
}

func FuzzDecode(f *testing.F) {
	for _, r := range []*Record{intent("1"), example("2", "web", "1.0.0")} {
		data, err := json.Marshal(r)
		require.NoError(f, err)
		f.Add(data)
		f.Add(bytes.Replace(data, []byte(":1"), []byte(":2"), 1))
	}
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Decode(data)
		if err != nil {
			require.Nil(t, r)
			return
		}
		require.Equal(t, r.ID, r.Endpoint.ID())
		require.True(t, r.Phase == Intent || r.Identity.PID > 0 && r.StartTicks > 0)
		again, err := json.Marshal(r)
		require.NoError(t, err)
		same, err := Decode(again)
		require.NoError(t, err)
		require.Equal(t, r, same)
	})
}

func TestRecordsLostWithThePower(t *testing.T) {
	s := store(t)
	r := intent("a")
	require.NoError(t, s.Note(r))
	records, bad := s.List("", "")
	require.Len(t, records, 1)
	require.Empty(t, bad)
	for _, left := range []string{"", "\x00\x00\x00\x00"} {
		file := filepath.Join(s.Path(), "backends", r.fileName())
		require.NoError(t, os.WriteFile(file, []byte(left), 0o600))
		records, bad = s.List("", "")
		require.Empty(t, records)
		require.Len(t, bad, 1, "somebody emptied it since the machine was started")
		require.NoError(t, s.Sweep("", ""))
		require.FileExists(t, file)
		require.NoError(t, os.Chtimes(file, time.Time{}, s.booted().Add(-time.Minute)))
		records, bad = s.List("", "")
		require.Empty(t, records)
		require.Empty(t, bad)
		for _, other := range [][2]string{{"db", ""}, {r.Service, "2.0.0"}} {
			require.NoError(t, s.Sweep(other[0], other[1]))
			require.FileExists(t, file, "the records of others are not looked at")
		}
		require.NoError(t, s.Sweep(r.Service, r.Version))
		names, err := os.ReadDir(filepath.Join(s.Path(), "backends"))
		require.NoError(t, err)
		require.Empty(t, names)
		require.NoError(t, s.Note(r))
	}
}

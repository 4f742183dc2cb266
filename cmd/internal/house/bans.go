package house

import (
	"go/ast"
	"go/token"
	"path"
	"strconv"
	"strings"
)

// ban forbids one name of a package, or with an empty name its import.
type ban struct {
	pkg, name string
	why       string
	tests     bool // tests may use it
}

func (b ban) rule() string {
	if b.name == "" {
		return "import " + b.pkg
	}
	return path.Base(b.pkg) + "." + b.name
}

// bans is what nobody uses, except where exceptions allows it.
func bans() []ban {
	const (
		sys      = "golang.org/x/sys/unix"
		noModes  = "a file that is opened up or closed down later was wrong in between: create it with its mode, or use Fchmod"
		pidReuse = "a pid is a name that the system reuses: hold a pidfd or a handle"
		oneBirth = "children are made in one place only, from the measured descriptor, with no inherited descriptor"
		process  = "it changes the whole process, a library's host too: pass the value explicitly"
		silent   = "libraries return what they have to say; only the command prints"
		oneExit  = "only main ends the process: everywhere else it skips deferred clean-up"
		random   = "nonces and names must not be guessed: use crypto/rand"
	)
	return []ban{
		{pkg: "os", name: "FindProcess", why: pidReuse},
		{pkg: "os", name: "StartProcess", why: oneBirth, tests: true},
		{pkg: "os/exec", name: "LookPath", why: "a searched path is not the file that was decided on", tests: true},
		{pkg: "os/exec", why: oneBirth, tests: true},
		{pkg: "syscall", name: "ForkExec", why: oneBirth},
		{pkg: "syscall", name: "StartProcess", why: oneBirth},
		{pkg: "syscall", name: "Exec", why: oneBirth},
		{pkg: sys, name: "Exec", why: oneBirth},
		{pkg: "os", name: "Chmod", why: noModes, tests: true},
		{pkg: "syscall", name: "Chmod", why: noModes, tests: true},
		{pkg: sys, name: "Chmod", why: noModes, tests: true},
		{pkg: "os", name: "Chdir", why: process, tests: true},
		{pkg: "os", name: "Setenv", why: process, tests: true},
		{pkg: "os", name: "Unsetenv", why: process, tests: true},
		{pkg: sys, name: "Umask", why: process, tests: true},
		{pkg: "syscall", name: "Umask", why: process, tests: true},
		{pkg: "path/filepath", name: "EvalSymlinks", why: "its answer is a name and may be another file by now: fswalk walks once and says what it saw", tests: true},
		{pkg: "time", name: "Sleep", why: "wait for the event; a pause is too long or too short"},
		{pkg: "os", name: "Exit", why: oneExit, tests: true},
		{pkg: "syscall", name: "Exit", why: oneExit, tests: true},
		{pkg: sys, name: "Exit", why: oneExit, tests: true},
		{pkg: "runtime", name: "Goexit", why: oneExit},
		{pkg: "log", why: silent, tests: true},
		{pkg: "log/slog", why: silent, tests: true},
		{pkg: "fmt", name: "Print", why: silent, tests: true},
		{pkg: "fmt", name: "Printf", why: silent, tests: true},
		{pkg: "fmt", name: "Println", why: silent, tests: true},
		{pkg: "os", name: "Stdin", why: silent, tests: true},
		{pkg: "os", name: "Stdout", why: silent, tests: true},
		{pkg: "os", name: "Stderr", why: silent, tests: true},
		{pkg: "context", name: "WithValue", why: "nothing is hidden in a context value: write the parameter"},
		{pkg: "context", name: "TO" + "DO", why: "a caller's context is missing: take one"},
		{pkg: "math/rand", why: random, tests: true},
		{pkg: "math/rand/v2", why: random, tests: true},
		{pkg: "crypto/md5", why: "it identifies nothing any more: use SHA-256"},
		{pkg: "crypto/sha1", why: "it identifies nothing any more: use SHA-256"},
		{pkg: "io/ioutil", why: "io and os have all of it"},
		{pkg: "unsafe", why: "the types are there for a reason"},
		{pkg: "C", why: "the command is one static binary"},
	}
}

// exception lets a rule be broken in one file, or in one directory and all
// below it when place ends in a slash.
type exception struct{ rule, place, why string }

// exceptions that nothing needs any more are findings themselves.
func exceptions() []exception {
	return []exception{
		{"os.Exit", "cmd/spawnward/main.go", "main"},
		{"os.Stdin", "cmd/spawnward/main.go", "main hands it to run"},
		{"os.Stdout", "cmd/spawnward/main.go", "main hands it to run"},
		{"os.Stderr", "cmd/spawnward/main.go", "main hands it to run"},
		{"syscall.ForkExec", "spawner/process/", "the one place that makes children"},
		{"syscall.Exec", "spawner/process/become_linux.go", "executes nothing: it puts back the limit of open files, which only it knows"},
		{"unix.Umask", "spawner/process/", "set on a thread with a context of its own: the child inherits it and the host does not notice"},
		{"import unsafe", "spawner/process/", "how a child ended stands in a part of siginfo_t that x/sys has no field for"},
		{"import unsafe", "spawner/user_linux_test.go", "a system call filter is given by its address"},
		{"filepath.EvalSymlinks", "spawner/fswalk/", "the one place that resolves; what it gives is walked again by descriptors"},
		{"import os/exec", "wasm/parent_linux.go", "a worker for hooks is this program again, not a backend"},
		{"syscall.Exec", "wasm/isolation_linux_test.go", "a worker that was taken over tries it"},
		{"syscall.ForkExec", "wasm/isolation_linux_test.go", "a worker that was taken over tries it"},
		{"os.Exit", "wasm/worker_linux.go", "a worker must not go on into the host's main"},
		{"unix.Umask", "spawner/confine/", "set on a thread with a context of its own, or on a process that is about to become the program"},
		{"import unsafe", "spawner/confine/landlock_linux.go", "x/sys has no call for Landlock"},
		{"import unsafe", "wasm/landlock_linux.go", "x/sys has no call for Landlock"},
		{"import unsafe", "wasm/seccomp_linux.go", "x/sys has no call for a filter of all threads"},
		{"import unsafe", "wasm/precompiled.go", "the engine exports no cache but one that opens files, which a worker cannot"},
		{"import os/exec", "conformance/", "the suite plays broken backends and drives other launchers"},
		{"unix.Chmod", "conformance/", "the suite makes files with wrong modes, also set-id ones"},
		{"os.Chmod", "conformance/", "the suite makes files with wrong modes, and a directory that every user may pass"},
		{"unix.Exec", "conformance/world_linux.go", "with its mounts made, this process becomes the launcher that is judged"},
		{"os.Stdin", "conformance/internal/naive/", "another launcher, a program of its own"},
		{"os.Stdout", "conformance/internal/naive/", "another launcher, a program of its own"},
		{"os.Stderr", "conformance/internal/naive/", "another launcher, a program of its own"},
		{"os.Exit", "conformance/internal/naive/", "another launcher, a program of its own"},
		{"os.Stdin", "conformance/scripted/", "a broken backend hands on what it was given"},
		{"os.Stdout", "conformance/scripted/", "a broken backend hands on what it was given"},
		{"os.Stderr", "conformance/scripted/", "a broken backend hands on what it was given"},
		{"os.Setenv", "conformance/scripted/", "a broken backend is a process of its own"},
	}
}

func excepted(f Finding, all []exception) (exception, bool) {
	for _, e := range all {
		if e.rule == f.Rule && (e.place == f.File || strings.HasSuffix(e.place, "/") && strings.HasPrefix(f.File, e.place)) {
			return e, true
		}
	}
	return exception{}, false
}

// stale are the exceptions that nothing needed.
func stale(used map[exception]bool) []Finding {
	var found []Finding
	for _, e := range exceptions() {
		if !used[e] {
			found = append(found, Finding{"exception", e.place, 0, "nothing there needs an exception from " + e.rule + " any more: remove it"})
		}
	}
	return found
}

// banned finds uses of banned names, whatever name the package was imported by.
func (f *file) banned() []Finding {
	var found []Finding
	names := map[string]string{}
	for _, spec := range f.syntax.Imports {
		pkg, _ := strconv.Unquote(spec.Path.Value)
		name := path.Base(pkg)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name == "." {
			found = append(found, f.finding("import .", spec.Pos(), "it hides where a name comes from"))
		}
		names[name] = pkg
		found = append(found, f.use(pkg, "", spec.Pos())...)
	}
	for _, d := range f.syntax.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			found = append(found, f.finding("init", fn.Pos(), "it runs before anyone asked, in an order nobody chose: pass values explicitly"))
		}
	}
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && names[x.Name] != "" {
				found = append(found, f.use(names[x.Name], s.Sel.Name, s.Pos())...)
			}
		}
		return true
	})
	return found
}

func (f *file) use(pkg, name string, at token.Pos) []Finding {
	for _, b := range bans() {
		if b.pkg == pkg && b.name == name && !(b.tests && f.test()) {
			return []Finding{f.finding(b.rule(), at, b.why)}
		}
	}
	return nil
}

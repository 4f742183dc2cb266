package conformance

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// WorldCommand is the hidden sub-command of the program that runs [World].
const WorldCommand = "conformance-world"

// world is what a program sees that others do not.
type world struct {
	Mounts  []Mount  `json:"mounts"`
	User    int      `json:"user"`
	Program string   `json:"program"`
	Args    []string `json:"args"`
}

// inWorld lets a command of a case with mounts run in a mount namespace of its
// own, which the kernel takes away after its last process.
func inWorld(cmd *exec.Cmd, t *tree) error {
	if len(t.c.Setup.Mounts) == 0 {
		return nil
	}
	w := world{User: t.c.As, Program: cmd.Path, Args: cmd.Args}
	for _, m := range t.c.Setup.Mounts {
		if m.IfThere && !there(m.Path) {
			continue
		}
		m.Path, m.From, m.Data = t.path(m.Path), t.path(m.From), t.text(m.Data)
		w.Mounts = append(w.Mounts, m)
	}
	spec, err := json.Marshal(w)
	if err != nil {
		return err
	}
	cmd.Path = t.program
	cmd.Args = []string{t.program, WorldCommand, string(spec)}
	cmd.SysProcAttr.Credential = nil
	cmd.SysProcAttr.Unshareflags = unix.CLONE_NEWNS
	return nil
}

// World mounts what its one argument says and becomes the program of the case.
// It must run in a mount namespace of its own.
func World(args []string) error {
	if len(args) != 1 {
		return errors.New("it is a part of the conformance suite")
	}
	var w world
	if err := json.Unmarshal([]byte(args[0]), &w); err != nil {
		return err
	}
	for _, m := range w.Mounts {
		if err := m.mount(); err != nil {
			return fmt.Errorf("mount %s: %w", m.Path, err)
		}
	}
	if w.User != 0 {
		err := errors.Join(unix.Setgroups(nil), unix.Setresgid(w.User, w.User, w.User), unix.Setresuid(w.User, w.User, w.User))
		if err != nil {
			return err
		}
	}
	return unix.Exec(w.Program, w.Args, os.Environ())
}

func (m Mount) mount() error {
	var flags uintptr
	for _, f := range m.Flags {
		known := map[string]uintptr{"noexec": unix.MS_NOEXEC, "ro": unix.MS_RDONLY, "nosuid": unix.MS_NOSUID}
		if known[f] == 0 {
			return fmt.Errorf("%q is no flag", f)
		}
		flags |= known[f]
	}
	if m.Type != "bind" {
		if err := os.MkdirAll(m.Path, 0o755); err != nil {
			return err
		}
		return unix.Mount(m.Type, m.Path, m.Type, flags, m.Data)
	}
	if strings.HasSuffix(m.From, "/") || isDir(m.From) {
		if err := os.MkdirAll(m.Path, 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount(m.From, m.Path, "", unix.MS_BIND, ""); err != nil {
		return err
	}
	if flags == 0 {
		return nil
	}
	return unix.Mount("", m.Path, "", syscall.MS_REMOUNT|syscall.MS_BIND|flags, "")
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

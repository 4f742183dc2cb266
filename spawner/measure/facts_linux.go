package measure

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/fswalk"
)

func empty(requested string) admission.File {
	return admission.File{
		Requested: printable(requested), Segments: []string{}, Ancestors: []admission.Ancestor{},
		AncestorsWritable: []admission.Ancestor{}, AncestorOwners: []int64{},
	}
}

// reason is the system's own word for a failure, without the path, which the
// fact has already.
func reason(err error) string {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return printable(fmt.Sprintf("%s %s: %v", pe.Op, pe.Path, pe.Err))
	}
	return printable(err.Error())
}

// printable makes any bytes text, for people to read.
func printable(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// resolve gives a canonical path that is text: what is no text cannot be a fact
// of a decision, and two such paths could look alike there.
func resolve(requested string) (string, error) {
	canonical, err := fswalk.Resolve(requested)
	if err == nil && !utf8.ValidString(requested+canonical) {
		err = fmt.Errorf("its path %q is not valid UTF-8", canonical)
	}
	return canonical, err
}

func facts(f *admission.File, fd int, st *unix.Stat_t, ids *fswalk.Identities) error {
	if err := unix.Fstat(fd, st); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	self := fmt.Sprintf("/proc/self/fd/%d", fd)
	f.Kind = kind(st.Mode)
	f.Size = st.Size
	f.Mode = int64(st.Mode & 0o7777)
	f.UID, f.GID, f.Links = int64(st.Uid), int64(st.Gid), int64(st.Nlink)
	f.Device, f.Inode = int64(st.Dev), int64(st.Ino)
	f.MtimeNS, f.CtimeNS = st.Mtim.Nano(), st.Ctim.Nano()
	f.WritableByOthers = fswalk.WritableByOthers(fd, st, ids)
	if len(f.Ancestors) > 0 {
		f.Ancestors[len(f.Ancestors)-1].ChildUID = f.UID
	}
	f.AncestorsWritable = slices.DeleteFunc(slices.Clone(f.Ancestors), func(a admission.Ancestor) bool { return !a.WritableByOthers })
	if err := mount(&f.Mount, fd); err != nil {
		return err
	}
	if f.Kind == "regular" {
		f.Setuid, f.Setgid = st.Mode&unix.S_ISUID != 0, st.Mode&unix.S_ISGID != 0
		f.Capabilities = hasCapabilities(self)
		// On a noexec mount nobody may execute anything; that is the mount's fact.
		may := f.Mount.Noexec || unix.Faccessat(unix.AT_FDCWD, self, unix.X_OK, unix.AT_EACCESS) == nil
		f.Executable = st.Mode&0o111 != 0 && may
	}
	return nil
}

// hasCapabilities counts an attribute that cannot be read as present.
func hasCapabilities(self string) bool {
	_, err := unix.Getxattr(self, "security.capability", nil)
	return !errors.Is(err, unix.ENODATA) && !errors.Is(err, unix.EOPNOTSUPP)
}

func ancestors(f *admission.File, w *fswalk.Walk) {
	owners := map[int64]bool{}
	for i, d := range w.Dirs {
		a := admission.Ancestor{
			Path: d.Path, UID: int64(d.Stat.Uid), GID: int64(d.Stat.Gid), Mode: int64(d.Stat.Mode & 0o7777),
			Sticky: d.Sticky(), WritableByOthers: d.WritableByOthers,
		}
		if i+1 < len(w.Dirs) {
			a.ChildUID = int64(w.Dirs[i+1].Stat.Uid)
		}
		f.Ancestors = append(f.Ancestors, a)
		if !owners[a.UID] {
			owners[a.UID] = true
			f.AncestorOwners = append(f.AncestorOwners, a.UID)
		}
	}
	slices.Sort(f.AncestorOwners)
}

func kind(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "regular"
	case unix.S_IFDIR:
		return "directory"
	case unix.S_IFLNK:
		return "link"
	case unix.S_IFIFO:
		return "fifo"
	case unix.S_IFSOCK:
		return "socket"
	}
	return "device"
}

// broadPlaces are directories that hold the programs or data of many owners;
// none of them confines a binary to anything.
func broadPlaces() []string {
	return strings.Fields(`/usr /usr/lib /usr/local /usr/share /opt /etc /var /var/lib /home /srv /mnt /media
		/run /proc /sys /dev /boot /lib /lib64 /nix /nix/store /gnu /gnu/store /snap`)
}

// broad says why a canonical path is too broad to be an allow-root, or "".
func broad(canonical string, ids *fswalk.Identities) string {
	same := func(p string) bool {
		c, err := fswalk.Resolve(p)
		return canonical == p || err == nil && canonical == c
	}
	switch {
	case canonical == "/":
		return "filesystem root"
	case slices.Contains(broadPlaces(), canonical):
		return "system directory"
	case slices.ContainsFunc([]string{"/tmp", "/var/tmp", "/dev/shm", os.TempDir()}, same):
		return "temporary directory"
	case slices.ContainsFunc(ids.Homes(), same):
		return "home directory"
	}
	return ""
}

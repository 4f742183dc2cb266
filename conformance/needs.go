package conformance

import (
	"debug/buildinfo"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// needs lists what a case may need.
func needs() []string { return []string{"root", "user", "faults", "machine-id", "lease", "landlock"} }

// lacking says why a case cannot run here, or "".
func (r *runner) lacking(c *Case) string {
	switch {
	case runtime.GOOS != "linux":
		return "the suite runs on Linux, and this is " + runtime.GOOS
	case c.faulty() && len(r.o.Launcher) > 0:
		return "it steps into the launcher, which only a build of spawnward with the tag faults allows"
	case c.ownCommand() && len(r.o.Launcher) > 0:
		return "it is about the command spawnward itself"
	case (c.faulty() || slices.Contains(c.Needs, "faults")) && !r.faults:
		return "it needs a build with the tag faults, and this is a release"
	case (slices.Contains(c.Needs, "root") || c.As != 0 || len(c.Setup.Mounts) > 0) && os.Geteuid() != 0:
		return "it needs root, to make files of other users or mounts"
	case slices.Contains(c.Needs, "user") && os.Geteuid() == 0:
		return "it is about an ordinary user, and this is root"
	case slices.Contains(c.Needs, "machine-id") && !there("/etc/machine-id", "/var/lib/dbus/machine-id"):
		return "the machine has no id"
	case slices.Contains(c.Needs, "landlock") && !there("/sys/kernel/security/landlock") && !kernelHas("landlock"):
		return "the kernel has no Landlock"
	case r.site.bundle() && c.Policy != nil:
		return "it adds settings to the policy, which is a bundle in one file"
	}
	return ""
}

func there(paths ...string) bool {
	return slices.ContainsFunc(paths, func(p string) bool {
		st, err := os.Stat(p)
		return err == nil && (st.IsDir() || st.Size() > 0)
	})
}

func kernelHas(module string) bool {
	list, err := os.ReadFile("/sys/kernel/security/lsm")
	return err != nil || strings.Contains(string(list), module) // not mounted: the case will tell
}

// hasFaults reports whether a program was built with the tag faults.
func hasFaults(program string) bool {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool {
		return s.Key == "-tags" && slices.Contains(strings.Split(s.Value, ","), "faults")
	})
}

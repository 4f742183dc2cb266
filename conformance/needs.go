package conformance

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"
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

// hasFaults reports whether a program says of itself that it was built with the
// tag faults.
func hasFaults(ctx context.Context, program string) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "version", "--output", "json").Output()
	var v struct {
		Faults bool `json:"faults"`
	}
	return err == nil && json.Unmarshal(out, &v) == nil && v.Faults
}

package policy

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// doubt says whether the rule of a code has to be evaluated. Without doubt it
// finds nothing; with doubt the rule, and nothing else, judges.
type doubt struct {
	code code.Code
	has  bool
}

// judge looks at a launch as cheaply as it can. Whatever is not plain to it is a
// doubt, so that no judgement is made here: a rule that is skipped is one whose
// first comparison would have failed.
type judge struct {
	in      *admission.Input
	eff     *effective
	catalog digestList
}

// blank is a judge of nothing, for the codes that may be in doubt.
func blank() *judge {
	return &judge{&admission.Input{}, &effective{listed: textual{}, denied: textual{}}, textual{}}
}

// subject is a file of rules and the doubts of its codes.
type subject struct {
	name   string
	doubts []doubt
}

func (j *judge) subjects() []subject {
	return []subject{
		{"request", j.request()}, {"definition", j.definition()}, {"placement", j.placement()}, {"file", append(j.file(), j.owners()...)},
		{"version", j.version()}, {"digest", j.digest()}, {"caller", j.caller()}, {"environment", j.environment()}, {"hook", j.hooks()},
		{"binding", j.binding()},
	}
}

// doubted reports whether there is a doubt about a subject.
func (s *subject) doubted() bool {
	return slices.ContainsFunc(s.doubts, func(d doubt) bool { return d.has })
}

func (j *judge) request() []doubt {
	r := &j.in.Request
	return []doubt{
		{code.ServiceNameInvalid, r.Service != j.in.Service.Name || !plainName(r.Service)},
		{code.VersionInvalid, !isRelease(r.Version)},
		{code.InstanceInvalid, !j.plainInstance()},
		{code.TraceInvalid, !plainParent(r.Trace.Traceparent) || !plainText(r.Trace.Tracestate) || !plainText(r.Trace.RequestID)},
	}
}

func (j *judge) plainInstance() bool {
	s, instance := &j.in.Service, j.in.Request.Instance
	switch s.Isolation {
	case "PRIVATE_BROKER":
		return s.ExplicitInstance == "" && instance == "private:"+j.in.Request.Service
	case "SHARED_BROKER":
		return s.ExplicitInstance == "" && instance == "shared"
	case "EXPLICIT_INSTANCE":
		return plainName(s.ExplicitInstance) && instance == "explicit:"+s.ExplicitInstance
	}
	return false
}

func (j *judge) definition() []doubt {
	s := &j.in.Service
	return []doubt{
		{code.DefinitionSourceNotPermitted, !slices.Contains(j.eff.sources, s.Source)},
		{code.DefinitionOwnerUntrusted, s.Source == "file" && !j.trusted(s.OwnerUID)},
	}
}

func (j *judge) placement() []doubt {
	s, binary, root := &j.in.Service, &j.in.Binary, &j.in.Root
	return []doubt{
		{code.BinaryPathEmpty, s.BinaryPath == "" || binary.Error != ""},
		{code.AllowRootEmpty, s.Root == "" || root.Error != ""},
		{code.BinaryUnresolvable, binary.Path == "" || binary.Error != ""},
		{code.AllowRootUnresolvable, root.Path == "" || root.Error != ""},
		{code.AllowRootNotDirectory, root.Kind != "directory" || root.Error != ""},
		{code.BinaryOutsideAllowRoot, !binary.InsideRoot || !below(binary.Segments, root.Segments)},
		{code.AllowRootTooBroad, root.Broad != ""},
		{code.AllowRootNotPermitted, len(j.eff.roots) > 0 && !slices.Contains(j.eff.roots, root.Path)},
	}
}

func below(segments, directory []string) bool {
	return len(segments) > len(directory) && slices.Equal(segments[:len(directory)], directory)
}

func (j *judge) file() []doubt {
	f := &j.in.Binary
	plainLoader := f.Interp.Path == "" || f.Interp.Error == "" && f.Interp.SystemPlace && f.Interp.UID == 0 && !f.Interp.WritableByOthers
	return []doubt{
		{code.BinaryNotRegular, f.Kind != "regular"},
		{code.BinaryNotExecutable, !f.Executable},
		{code.BinaryIsScript, f.Format != "elf"},
		{code.BinaryFormatUnknown, f.Format != "elf"},
		{code.ELFInterpreterUntrusted, !plainLoader},
		{code.BinarySetuid, f.Setuid || f.Setgid},
		{code.BinaryFileCapabilities, f.Capabilities},
		{code.BinaryWritableByOthers, f.WritableByOthers},
		{code.BinaryHardLinks, f.Links > 1},
		{code.BinaryTooLarge, f.Size > j.eff.maxBytes},
		{code.BinaryMountUntrusted, !f.Mount.Local || f.Mount.Noexec},
	}
}

func (j *judge) owners() []doubt {
	f := &j.in.Binary
	strange := func(uid int64) bool { return !j.trusted(uid) }
	return []doubt{
		{code.BinaryOwnerUntrusted, strange(f.UID)},
		{code.AncestorWritableByOthers, len(f.AncestorsWritable) > 0},
		{code.AncestorOwnerUntrusted, len(f.AncestorOwners) == 0 || slices.ContainsFunc(f.AncestorOwners, strange)},
	}
}

func (j *judge) trusted(uid int64) bool {
	return uid == 0 || uid == j.in.Caller.UID || slices.Contains(j.eff.trustedOwners, uid)
}

func (j *judge) version() []doubt {
	s, version := &j.in.Service, j.in.Request.Version
	return []doubt{
		{code.VersionBelowMinimum, s.MinVersion != "" && !plainlyAtLeast(version, s.MinVersion)},
		{code.VersionNotListed, len(s.VersionAllowList) > 0 && !slices.Contains(s.VersionAllowList, version)},
		{code.VersionPrereleaseNotAllowed, !isRelease(version)},
	}
}

func (j *judge) digest() []doubt {
	// A list that cannot be read is a doubt; the evaluation will say what it is.
	in := func(list digestList) (listed, unlisted bool) {
		_, found, err := list.of(j.in.Binary.SHA256)
		return found || err != nil, !found || err != nil
	}
	denied, _ := in(j.eff.denied)
	_, unlisted := in(j.eff.listed)
	known, _ := in(j.catalog)
	return []doubt{
		{code.DigestDenied, denied},
		{code.DigestNotListed, j.eff.requireListed && unlisted},
		{code.DigestVersionMismatch, known},
	}
}

func (j *judge) caller() []doubt {
	c := &j.in.Caller
	member := func(gid int64) bool { return gid == c.GID || slices.Contains(c.Groups, gid) }
	return []doubt{
		{code.CallerNotPermitted, len(j.eff.uids) > 0 && !slices.Contains(j.eff.uids, c.UID)},
		{code.CallerGroupRequired, len(j.eff.gids) > 0 && !slices.ContainsFunc(j.eff.gids, member)},
	}
}

func (j *judge) environment() []doubt {
	e := &j.in.EnvFacts
	return []doubt{
		{code.EnvNameForbidden, slices.ContainsFunc(e.Foreign, func(v admission.EnvVar) bool { return !j.plainVariable(v) })},
		{code.EnvValueInvalid, len(e.Invalid) > 0},
		// The limits stand in the rule; half of the smaller one is far from both.
		{code.EnvTooLarge, e.LargestValue > 16384 || e.Bytes > 65536},
	}
}

// plainVariable: not even the beginning of the name is that of a forbidden one,
// and the launcher's own environment is not where it comes from.
func (j *judge) plainVariable(v admission.EnvVar) bool {
	return v.Origin != admission.OriginPass && !slices.ContainsFunc(j.eff.forbidden, func(start string) bool { return strings.HasPrefix(v.Name, start) })
}

func (j *judge) hooks() []doubt {
	some := len(j.in.Hooks) > 0
	return []doubt{
		{code.HookNotListed, some}, {code.HookDigestMismatch, some}, {code.HookTouchedForbiddenName, some},
		{code.HookRejected, some}, {code.HookFailed, some},
	}
}

func (j *judge) binding() []doubt {
	enough := func(b admission.Binding) bool { return b.Satisfies(j.eff.binding) }
	return []doubt{
		{code.BindingTooWeak, !slices.ContainsFunc(j.in.Launcher.Bindings, enough)},
		{code.SealedSourceNoexec, j.in.Binary.Mount.Noexec},
		{code.ConfinementRequired, j.eff.confined},
	}
}

// plainName: 1 to 64 characters of a-z, 0-9 and '-'.
func plainName(name string) bool {
	return len(name) > 0 && len(name) <= 64 && consists(name, func(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' })
}

// plainText is short and printable.
func plainText(text string) bool {
	return len(text) <= 512 && consists(text, func(c byte) bool { return c >= ' ' && c <= '~' })
}

// plainParent is no traceparent, or one with digits where digits belong and
// neither of the identifiers all zeros.
func plainParent(parent string) bool {
	if parent == "" {
		return true
	}
	hexadecimal := func(part string) bool {
		return consists(part, func(c byte) bool { return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' })
	}
	parts := strings.Split(parent, "-")
	return len(parts) == 4 && parts[0] == "00" && len(parts[1]) == 32 && len(parts[2]) == 16 && len(parts[3]) == 2 &&
		!slices.ContainsFunc(parts, func(part string) bool { return !hexadecimal(part) }) &&
		strings.Trim(parts[1], "0") != "" && strings.Trim(parts[2], "0") != ""
}

func consists(text string, of func(byte) bool) bool {
	for i := range len(text) {
		if !of(text[i]) {
			return false
		}
	}
	return true
}

// readRelease reads MAJOR.MINOR.PATCH with numbers of at most 18 digits.
func readRelease(version string) (numbers [3]int64, ok bool) {
	rest := version
	for i := range numbers {
		part, more, found := strings.Cut(rest, ".")
		if found == (i == 2) || len(part) > 18 || len(part) > 1 && part[0] == '0' || !consists(part, func(c byte) bool { return c >= '0' && c <= '9' }) {
			return numbers, false
		}
		n, err := strconv.ParseInt(part, 10, 64)
		if err != nil {
			return numbers, false
		}
		numbers[i], rest = n, more
	}
	return numbers, true
}

func isRelease(version string) bool {
	_, ok := readRelease(version)
	return ok
}

func plainlyAtLeast(version, floor string) bool {
	have, ok := readRelease(version)
	want, known := readRelease(floor)
	return ok && known && slices.Compare(have[:], want[:]) >= 0
}

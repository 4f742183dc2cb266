package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

// inputBuilder turns an [admission.Input] into the document that rules read.
// It is written out by hand because this is on the path of every launch; a test
// holds it equal to the JSON form of the struct.
type inputBuilder struct {
	*vocabulary
	field string // the member being built, for error messages
	bad   string // the first string that is not UTF-8, with its place
}

type item = [2]*ast.Term

// buildInput gives the input document, or an error that names a string which is
// not valid UTF-8.
func buildInput(v *vocabulary, in *admission.Input, found []subject) (*ast.Term, error) {
	b := &inputBuilder{vocabulary: v}
	term := b.input(in, v.doubts(found))
	if b.bad != "" {
		return nil, fmt.Errorf("the fact %s is not valid UTF-8; rename what it describes", b.bad)
	}
	return term, nil
}

// input is the document that the rules read of a launch.
func (e *Engine) input(in *admission.Input) (*ast.Term, error) {
	j := &judge{in, e.config.of(in.Request.Service), e.catalog}
	found := j.subjects()
	for _, s := range found {
		for i := range s.doubts {
			s.doubts[i].has = s.doubts[i].has || e.plain
		}
	}
	term, err := buildInput(e.words, in, found)
	if err != nil {
		return nil, &Error{C: code.PolicyFailed, Where: "input", Err: err}
	}
	return term, nil
}

func (b *inputBuilder) key(name string) *ast.Term {
	b.field = name
	return b.name(name)
}

func (b *inputBuilder) text(v string) *ast.Term {
	if v == "" {
		return ast.InternedTerm("")
	}
	if b.bad == "" && !utf8.ValidString(v) {
		b.bad = fmt.Sprintf("%s (%q)", b.field, v)
	}
	return ast.StringTerm(v)
}

func (b *inputBuilder) str(name, v string) item       { return item{b.key(name), b.text(v)} }
func (b *inputBuilder) flag(name string, v bool) item { return item{b.key(name), ast.InternedTerm(v)} }
func (b *inputBuilder) num(name string, v int64) item { return item{b.key(name), number(v)} }
func (b *inputBuilder) val(name string, v *ast.Term) item {
	return item{b.key(name), v}
}

func number(v int64) *ast.Term {
	if v >= 0 && v < 512 {
		return ast.InternedTerm(int(v))
	}
	if int64(int(v)) == v {
		return ast.IntNumberTerm(int(v))
	}
	return ast.NumberTerm(json.Number(strconv.FormatInt(v, 10)))
}

func object(items ...item) *ast.Term { return ast.NewTerm(ast.NewObject(items...)) }

func list[T any](values []T, term func(T) *ast.Term) *ast.Term {
	terms := make([]*ast.Term, len(values))
	for i, v := range values {
		terms[i] = term(v)
	}
	return ast.NewTerm(ast.NewArray(terms...))
}

func (b *inputBuilder) strs(name string, v []string) item { return b.val(name, list(v, b.text)) }
func (b *inputBuilder) nums(name string, v []int64) item  { return b.val(name, list(v, number)) }

func (b *inputBuilder) texts(name string, v map[string]string) item {
	o := ast.NewObjectWithCapacity(len(v))
	for _, k := range sortedKeys(v) {
		b.field = name
		o.Insert(b.text(k), b.text(v[k]))
	}
	return b.val(name, ast.NewTerm(o))
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (b *inputBuilder) input(in *admission.Input, of doubtTerms) *ast.Term {
	return object(
		b.num("schema", int64(in.Schema)), b.num("now_ns", in.NowNS),
		b.val("request", b.request(&in.Request)),
		b.val("service", b.service(&in.Service)),
		b.val("binary", b.file(&in.Binary)),
		b.val("root", b.file(&in.Root)),
		b.val("script", object(
			b.str("path", in.Script.Path), b.str("sha256", in.Script.SHA256), b.num("size", in.Script.Size), b.str("argument", in.Script.Argument))),
		b.val("caller", object(
			b.num("uid", in.Caller.UID), b.num("gid", in.Caller.GID), b.nums("groups", in.Caller.Groups), b.str("user", in.Caller.User),
			b.val("parent", object(b.num("pid", in.Caller.Parent.PID), b.str("exe", in.Caller.Parent.Exe), b.str("sha256", in.Caller.Parent.SHA256))))),
		b.val("env", list(in.Env, b.variable)),
		b.val("env_facts", object(
			b.num("bytes", in.EnvFacts.Bytes), b.num("largest_value", in.EnvFacts.LargestValue),
			b.strs("invalid", in.EnvFacts.Invalid), b.val("foreign", list(in.EnvFacts.Foreign, b.variable)))),
		b.val("files", list(in.Files, func(f admission.OutputFile) *ast.Term {
			return object(b.str("name", f.Name), b.str("sha256", f.SHA256), b.str("template_sha256", f.TemplateSHA256), b.num("size", f.Size))
		})),
		b.val("hooks", list(in.Hooks, func(h admission.HookRun) *ast.Term {
			return object(b.str("name", h.Name), b.str("sha256", h.SHA256), b.str("pinned", h.Pinned), b.flag("ran", h.Ran),
				b.str("error", h.Error), b.str("detail", h.Detail), b.strs("set", h.Set), b.strs("unset", h.Unset))
		})),
		b.val("host", object(
			b.str("os", in.Host.OS), b.str("arch", in.Host.Arch), b.str("hostname", in.Host.Hostname),
			b.str("machine_id", in.Host.MachineID), b.str("boot_id", in.Host.BootID), b.str("kernel", in.Host.Kernel))),
		b.val("launcher", object(
			b.str("version", in.Launcher.Version), b.str("mode", in.Launcher.Mode), b.str("phase", in.Launcher.Phase), b.strs("confinement", in.Launcher.Confinement),
			b.val("bindings", list(in.Launcher.Bindings, func(v admission.Binding) *ast.Term { return b.text(string(v)) })))),
		b.val("doubts", of.doubts), b.val("doubted", of.doubted),
	)
}

func (b *inputBuilder) variable(v admission.EnvVar) *ast.Term {
	return object(b.str("name", v.Name), b.str("value", v.Value), b.str("origin", v.Origin))
}

func (b *inputBuilder) request(r *admission.Request) *ast.Term {
	return object(
		b.str("service", r.Service), b.str("version", r.Version), b.str("instance", r.Instance), b.strs("args", r.Args),
		b.val("trace", object(
			b.str("traceparent", r.Trace.Traceparent), b.str("tracestate", r.Trace.Tracestate), b.str("request_id", r.Trace.RequestID))))
}

func (b *inputBuilder) service(s *admission.Service) *ast.Term {
	idle := ast.InternedNullTerm
	if s.Launch.IdleTimeoutSecs != nil {
		idle = number(*s.Launch.IdleTimeoutSecs)
	}
	return object(
		b.str("service_name", s.Name), b.str("binary_path", s.BinaryPath), b.str("per_version_binary_dir", s.Root),
		b.str("isolation", s.Isolation), b.str("explicit_instance", s.ExplicitInstance), b.str("min_version", s.MinVersion),
		b.strs("version_allow_list", s.VersionAllowList), b.texts("labels", s.Labels),
		b.val("launch", object(
			b.str("argv0", s.Launch.Argv0), b.str("dir", s.Launch.Dir), b.strs("pass_env", s.Launch.PassEnv), b.str("probe", s.Launch.Probe),
			b.num("ready_timeout_ms", s.Launch.ReadyTimeoutMS), b.num("settle_ms", s.Launch.SettleMS), b.val("idle_timeout_secs", idle),
			b.str("stderr", s.Launch.Stderr), b.str("comm", s.Launch.Comm))),
		b.str("source", s.Source), b.str("path", s.Path), b.num("owner_uid", s.OwnerUID), b.num("mode", s.Mode), b.str("sha256", s.SHA256))
}

func (b *inputBuilder) file(f *admission.File) *ast.Term {
	return object(
		b.str("requested", f.Requested), b.str("path", f.Path), b.strs("segments", f.Segments),
		b.str("error", f.Error), b.str("detail", f.Detail), b.str("kind", f.Kind), b.str("sha256", f.SHA256),
		b.num("size", f.Size), b.num("mode", f.Mode), b.num("uid", f.UID), b.num("gid", f.GID), b.num("links", f.Links),
		b.flag("executable", f.Executable), b.flag("writable_by_others", f.WritableByOthers),
		b.flag("setuid", f.Setuid), b.flag("setgid", f.Setgid), b.flag("capabilities", f.Capabilities), b.str("format", f.Format),
		b.val("interp", object(
			b.str("path", f.Interp.Path), b.str("canonical", f.Interp.Canonical), b.str("sha256", f.Interp.SHA256), b.num("uid", f.Interp.UID),
			b.num("mode", f.Interp.Mode), b.str("error", f.Interp.Error), b.flag("writable_by_others", f.Interp.WritableByOthers),
			b.flag("system_place", f.Interp.SystemPlace))),
		b.num("device", f.Device), b.num("inode", f.Inode), b.num("mtime_ns", f.MtimeNS), b.num("ctime_ns", f.CtimeNS),
		b.val("mount", object(
			b.str("fs_type", f.Mount.FSType), b.num("fs_magic", f.Mount.FSMagic), b.num("id", f.Mount.ID), b.flag("noexec", f.Mount.Noexec),
			b.flag("nosuid", f.Mount.Nosuid), b.flag("readonly", f.Mount.Readonly), b.flag("local", f.Mount.Local))),
		b.val("ancestors", list(f.Ancestors, b.ancestor)),
		b.val("ancestors_writable", list(f.AncestorsWritable, b.ancestor)),
		b.nums("ancestor_owners", f.AncestorOwners),
		b.flag("inside_root", f.InsideRoot), b.str("broad", f.Broad))
}

func (b *inputBuilder) ancestor(a admission.Ancestor) *ast.Term {
	return object(
		b.str("path", a.Path), b.num("uid", a.UID), b.num("gid", a.GID), b.num("mode", a.Mode),
		b.flag("sticky", a.Sticky), b.flag("writable_by_others", a.WritableByOthers), b.num("child_uid", a.ChildUID))
}

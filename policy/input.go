package policy

import (
	"errors"
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
	field string     // the member being built, for error messages
	bad   string     // the first thing that is wrong
	terms []ast.Term // a block that terms are cut from
	items []item     // of the object being built
	// Binary and allow-root mostly have a mount and directories in common.
	mount     shared[admission.Mount]
	ancestors []shared[admission.Ancestor]
}

// shared is a value that was built, and its term.
type shared[T comparable] struct {
	of   T
	term *ast.Term
}

type item = [2]*ast.Term

// fact is a member of an object being built.
type fact struct {
	name  string
	value *ast.Term
}

// buildInput gives the input document, or an error that names a string which is
// not valid UTF-8.
func buildInput(v *vocabulary, in *admission.Input, found []subject) (*ast.Term, error) {
	b := &inputBuilder{vocabulary: v, items: make([]item, 0, 40)}
	term := b.input(in, v.doubts(found))
	if b.bad != "" {
		return nil, errors.New(b.bad)
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

func (b *inputBuilder) fail(format string, args ...any) {
	if b.bad == "" {
		b.bad = fmt.Sprintf(format, args...)
	}
}

// term gives a term from the block.
func (b *inputBuilder) term(v ast.Value) *ast.Term {
	if len(b.terms) == cap(b.terms) {
		b.terms = make([]ast.Term, 0, 64)
	}
	b.terms = append(b.terms, ast.Term{Value: v})
	return &b.terms[len(b.terms)-1]
}

// object has the members of its form, in their order, and no others.
func (b *inputBuilder) object(f *form, facts ...fact) *ast.Term {
	items := b.items[:0]
	for i, p := range facts {
		if i >= len(f.members) || f.members[i].text != p.name {
			b.fail("the fact %s does not stand where its form has it", p.name)
			return ast.InternedNullTerm
		}
		items = append(items, item{f.members[i].name, p.value})
	}
	if len(facts) < len(f.members) {
		b.fail("the fact %s is not built", f.members[len(facts)].text)
	}
	b.items = items
	return b.term(ast.NewObject(items...))
}

func (b *inputBuilder) text(v string) *ast.Term {
	if v == "" {
		return ast.InternedTerm("")
	}
	if !utf8.ValidString(v) {
		b.fail("the fact %s (%q) is not valid UTF-8; rename what it describes", b.field, v)
	}
	return b.term(ast.String(v))
}

func (b *inputBuilder) number(v int64) *ast.Term {
	if v >= 0 && v < 512 {
		return ast.InternedTerm(int(v))
	}
	return b.term(ast.Number(strconv.FormatInt(v, 10)))
}

func (b *inputBuilder) str(name, v string) fact {
	b.field = name
	return fact{name, b.text(v)}
}

func (b *inputBuilder) flag(name string, v bool) fact     { return fact{name, ast.InternedTerm(v)} }
func (b *inputBuilder) num(name string, v int64) fact     { return fact{name, b.number(v)} }
func (b *inputBuilder) val(name string, v *ast.Term) fact { return fact{name, v} }
func (b *inputBuilder) nums(name string, v []int64) fact  { return fact{name, list(b, v, b.number)} }
func (b *inputBuilder) strs(name string, v []string) fact {
	b.field = name
	return fact{name, list(b, v, b.text)}
}

func list[T any](b *inputBuilder, values []T, term func(T) *ast.Term) *ast.Term {
	if len(values) == 0 {
		return ast.InternedEmptyArray
	}
	terms := make([]*ast.Term, len(values))
	for i, v := range values {
		terms[i] = term(v)
	}
	return b.term(ast.NewArray(terms...))
}

func (b *inputBuilder) texts(name string, v map[string]string) fact {
	b.field = name
	o := ast.NewObjectWithCapacity(len(v))
	for _, k := range sortedKeys(v) {
		o.Insert(b.text(k), b.text(v[k]))
	}
	return fact{name, b.term(o)}
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
	f := &b.forms
	return b.object(f.input,
		b.num("schema", int64(in.Schema)), b.num("now_ns", in.NowNS),
		b.val("request", b.request(&in.Request)),
		b.val("service", b.service(&in.Service)),
		b.val("binary", b.file(&in.Binary)),
		b.val("root", b.file(&in.Root)),
		b.val("script", b.script(&in.Script)),
		b.val("caller", b.caller(&in.Caller)),
		b.val("env", list(b, in.Env, b.variable)),
		b.val("env_facts", b.object(f.envFacts,
			b.num("bytes", in.EnvFacts.Bytes), b.num("largest_value", in.EnvFacts.LargestValue),
			b.strs("invalid", in.EnvFacts.Invalid), b.val("foreign", list(b, in.EnvFacts.Foreign, b.variable)))),
		b.val("files", list(b, in.Files, b.output)),
		b.val("hooks", list(b, in.Hooks, b.hook)),
		b.val("host", b.object(f.host,
			b.str("os", in.Host.OS), b.str("arch", in.Host.Arch), b.str("hostname", in.Host.Hostname),
			b.str("machine_id", in.Host.MachineID), b.str("boot_id", in.Host.BootID), b.str("kernel", in.Host.Kernel))),
		b.val("launcher", b.object(f.launcher,
			b.str("version", in.Launcher.Version), b.str("mode", in.Launcher.Mode),
			b.val("bindings", list(b, in.Launcher.Bindings, func(v admission.Binding) *ast.Term { return b.text(string(v)) })),
			b.strs("confinement", in.Launcher.Confinement), b.str("phase", in.Launcher.Phase))),
		b.val("doubts", of.doubts), b.val("doubted", of.doubted),
	)
}

func (b *inputBuilder) variable(v admission.EnvVar) *ast.Term {
	return b.object(b.forms.variable, b.str("name", v.Name), b.str("value", v.Value), b.str("origin", v.Origin))
}

func (b *inputBuilder) output(f admission.OutputFile) *ast.Term {
	return b.object(b.forms.output, b.str("name", f.Name), b.str("sha256", f.SHA256), b.str("template_sha256", f.TemplateSHA256), b.num("size", f.Size))
}

func (b *inputBuilder) hook(h admission.HookRun) *ast.Term {
	return b.object(b.forms.hook, b.str("name", h.Name), b.str("sha256", h.SHA256), b.str("pinned", h.Pinned), b.flag("ran", h.Ran),
		b.str("error", h.Error), b.str("detail", h.Detail), b.strs("set", h.Set), b.strs("unset", h.Unset))
}

func (b *inputBuilder) script(s *admission.Script) *ast.Term {
	if *s == (admission.Script{}) && b.none.script != nil {
		return b.none.script
	}
	return b.object(b.forms.script, b.str("path", s.Path), b.str("sha256", s.SHA256), b.num("size", s.Size), b.str("argument", s.Argument))
}

func (b *inputBuilder) caller(c *admission.Caller) *ast.Term {
	return b.object(b.forms.caller,
		b.num("uid", c.UID), b.num("gid", c.GID), b.nums("groups", c.Groups), b.str("user", c.User),
		b.val("parent", b.parent(&c.Parent)))
}

func (b *inputBuilder) parent(p *admission.Parent) *ast.Term {
	if *p == (admission.Parent{}) && b.none.parent != nil {
		return b.none.parent
	}
	return b.object(b.forms.parent, b.num("pid", p.PID), b.str("exe", p.Exe), b.str("sha256", p.SHA256))
}

func (b *inputBuilder) request(r *admission.Request) *ast.Term {
	return b.object(b.forms.request,
		b.str("service", r.Service), b.str("version", r.Version), b.str("instance", r.Instance), b.strs("args", r.Args),
		b.val("trace", b.object(b.forms.trace,
			b.str("traceparent", r.Trace.Traceparent), b.str("tracestate", r.Trace.Tracestate), b.str("request_id", r.Trace.RequestID))))
}

func (b *inputBuilder) service(s *admission.Service) *ast.Term {
	idle := ast.InternedNullTerm
	if s.Launch.IdleTimeoutSecs != nil {
		idle = b.number(*s.Launch.IdleTimeoutSecs)
	}
	return b.object(b.forms.service,
		b.str("service_name", s.Name), b.str("binary_path", s.BinaryPath), b.str("per_version_binary_dir", s.Root),
		b.str("isolation", s.Isolation), b.str("explicit_instance", s.ExplicitInstance), b.str("min_version", s.MinVersion),
		b.strs("version_allow_list", s.VersionAllowList), b.texts("labels", s.Labels),
		b.val("launch", b.object(b.forms.launch,
			b.str("argv0", s.Launch.Argv0), b.str("dir", s.Launch.Dir), b.strs("pass_env", s.Launch.PassEnv), b.str("probe", s.Launch.Probe),
			b.num("ready_timeout_ms", s.Launch.ReadyTimeoutMS), b.num("settle_ms", s.Launch.SettleMS), b.val("idle_timeout_secs", idle),
			b.str("stderr", s.Launch.Stderr), b.str("comm", s.Launch.Comm))),
		b.str("source", s.Source), b.str("path", s.Path), b.num("owner_uid", s.OwnerUID), b.num("mode", s.Mode), b.str("sha256", s.SHA256))
}

func (b *inputBuilder) file(f *admission.File) *ast.Term {
	return b.object(b.forms.file,
		b.str("requested", f.Requested), b.str("path", f.Path), b.strs("segments", f.Segments),
		b.str("error", f.Error), b.str("detail", f.Detail), b.str("kind", f.Kind), b.str("sha256", f.SHA256),
		b.num("size", f.Size), b.num("mode", f.Mode), b.num("uid", f.UID), b.num("gid", f.GID), b.num("links", f.Links),
		b.flag("executable", f.Executable), b.flag("writable_by_others", f.WritableByOthers),
		b.flag("setuid", f.Setuid), b.flag("setgid", f.Setgid), b.flag("capabilities", f.Capabilities), b.str("format", f.Format),
		b.val("interp", b.interp(&f.Interp)),
		b.num("device", f.Device), b.num("inode", f.Inode), b.num("mtime_ns", f.MtimeNS), b.num("ctime_ns", f.CtimeNS),
		b.val("mount", b.mountOf(f.Mount)),
		b.val("ancestors", list(b, f.Ancestors, b.ancestor)),
		b.val("ancestors_writable", list(b, f.AncestorsWritable, b.ancestor)),
		b.nums("ancestor_owners", f.AncestorOwners),
		b.flag("inside_root", f.InsideRoot), b.str("broad", f.Broad))
}

func (b *inputBuilder) interp(i *admission.Interp) *ast.Term {
	if *i == (admission.Interp{}) && b.none.interp != nil {
		return b.none.interp
	}
	return b.object(b.forms.interp,
		b.str("path", i.Path), b.str("canonical", i.Canonical), b.str("sha256", i.SHA256), b.num("uid", i.UID), b.num("mode", i.Mode),
		b.str("error", i.Error), b.flag("writable_by_others", i.WritableByOthers), b.flag("system_place", i.SystemPlace))
}

func (b *inputBuilder) mountOf(m admission.Mount) *ast.Term {
	if b.mount.term == nil || b.mount.of != m {
		b.mount = shared[admission.Mount]{m, b.object(b.forms.mount,
			b.str("fs_type", m.FSType), b.num("fs_magic", m.FSMagic), b.num("id", m.ID), b.flag("noexec", m.Noexec),
			b.flag("nosuid", m.Nosuid), b.flag("readonly", m.Readonly), b.flag("local", m.Local))}
	}
	return b.mount.term
}

func (b *inputBuilder) ancestor(a admission.Ancestor) *ast.Term {
	for _, built := range b.ancestors {
		if built.of == a {
			return built.term
		}
	}
	term := b.object(b.forms.ancestor,
		b.str("path", a.Path), b.num("uid", a.UID), b.num("gid", a.GID), b.num("mode", a.Mode),
		b.flag("sticky", a.Sticky), b.flag("writable_by_others", a.WritableByOthers), b.num("child_uid", a.ChildUID))
	b.ancestors = append(b.ancestors, shared[admission.Ancestor]{a, term})
	return term
}

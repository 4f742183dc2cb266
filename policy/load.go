package policy

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/policy/internal/sources"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

const (
	entryPoint = "data.launch.main.decision"
	resultVar  = ast.Var("decision")
)

// Load makes one generation: of the embedded library, which was checked and
// compiled when the program was built, and of the site at o.Path when there is
// one, which is read, verified, checked and compiled now, and must decide on a
// launch that is known to be good. Its error is an [*Error] with the code
// policy_invalid, naming file, line and fix, or the context's error. Nothing
// may be launched with a policy that does not load.
//
// Where that error can only be the launcher's or an index's, because the site has
// no rules and no sequence to keep, and with [Options.Ahead] also where it has
// rules, the launch that is known to be good may still be under way when Load
// returns: the first decision waits for it, and every one is its error.
func Load(ctx context.Context, o Options) (*Engine, error) { return load(ctx, o, true) }

// loadWhole is Load to its end, for who has a policy to fall back to.
func loadWhole(ctx context.Context, o Options) (*Engine, error) { return load(ctx, o, false) }

func load(ctx context.Context, o Options, ahead bool) (*Engine, error) {
	if len(o.Keys) > 0 && o.Marks == nil {
		return nil, invalid(errors.New("verification keys without a place for sequence numbers would accept an older bundle again; set Options.Marks"))
	}
	if len(o.Keys) > 0 && o.Path == "" {
		return nil, invalid(errors.New("verification keys are configured and no bundle is named (--policy, or policy in the pinned file): the library alone would leave out what the keys are there to protect"))
	}
	l := &loading{o: o, ahead: ahead, site: &site{}}
	return l.run(ctx)
}

// loading is one try to make a generation.
type loading struct {
	o       Options
	inspect bool // no mark is compared or kept
	ahead   bool // a decision may wait for what need not be waited for here
	library library
	site    *site
	release *release // of a verified bundle
}

func (l *loading) run(ctx context.Context) (*Engine, error) {
	l.library = embedded()
	if l.o.Path != "" {
		l.library.modules = ahead(l.library.modules) // while the site is read
		if err := l.read(); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, code.New("load policy", code.Canceled, context.Cause(ctx))
	}
	e, err := build(l.o, l.library, l.site)
	if err != nil || l.o.Path == "" {
		return e, err
	}
	if l.ahead && (!e.hasSite || l.o.Ahead) && l.release == nil {
		e.known = ahead(func() error { return e.smoke(context.WithoutCancel(ctx)) })
		return e, nil
	}
	if err := e.smoke(ctx); err != nil {
		return nil, err
	}
	if err := l.remember(e); err != nil {
		return nil, err
	}
	return e, nil
}

func (l *loading) read() error {
	s, by, err := readSite(l.o.Path, l.o.Keys, l.inspect, l.begin)
	if err != nil {
		return err
	}
	l.site = s
	if by == nil {
		return nil
	}
	marks := l.o.Marks
	if l.inspect {
		marks = nil
	}
	if l.release, err = s.release(by, marks); err != nil {
		return placed(l.o.Path, err)
	}
	return nil
}

// begin links the library while the files of a site are looked at, where none of
// them has rules.
func (l *loading) begin(files []source) {
	if !slices.ContainsFunc(files, func(f source) bool { return path.Ext(f.name) == ".rego" }) {
		l.library.linked = linked(l.library.modules)
	}
}

// remember keeps the mark of a bundle that passed everything.
func (l *loading) remember(e *Engine) error {
	r := l.release
	if r == nil || !r.newer || l.inspect {
		return nil
	}
	if err := l.o.Marks.Raise(r.key, r.name, r.mark); err != nil {
		return invalidFile(l.o.Path, fmt.Errorf("keep its sequence number: %w", err))
	}
	if r.first {
		e.warnings = append(e.warnings, Warning{FirstBundle, ".manifest", fmt.Sprintf(
			"first bundle %q of the key %s: sequence %d is accepted as the newest because nothing is known of earlier ones", r.name, r.key, r.mark.Sequence)})
	}
	return nil
}

// build makes a generation of the library and a site.
func build(o Options, l library, s *site) (*Engine, error) {
	e := &Engine{deadline: o.Deadline, located: &sync.Map{}, hasSite: len(s.modules) > 0}
	if e.compiler = l.linked; !e.hasSite && e.compiler == nil {
		e.compiler = linked(l.modules) // first, because it takes longest
	}
	e.codes = libraryCodes()
	if e.deadline <= 0 {
		e.deadline = DefaultDeadline
	}
	e.id = admission.PolicyID{ID: generationID(l, s), Revision: s.manifest.revision, Sequence: s.manifest.sequence}
	if !s.manifest.notAfter.IsZero() {
		e.notAfterNS = s.manifest.notAfter.UnixNano()
	}
	if e.hasSite {
		if err := e.compileSite(l.modules, s); err != nil {
			return nil, err
		}
	}
	e.words = newVocabulary() // while modules are linked
	e.subjects = sync.OnceValue(e.checkSubjects)
	if err := e.configure(o, l.config, s); err != nil {
		return nil, err
	}
	e.query = ast.NewBody(ast.Equality.Expr(ast.NewTerm(resultVar), ast.NewTerm(ast.Ref{
		ast.DefaultRootDocument, ast.StringTerm("launch"), ast.StringTerm("main"), ast.StringTerm("decision"),
	})))
	return e, nil
}

// checkSubjects demands that every subject of the library has rules that deny:
// a decision asks only those about which there is a doubt.
func (e *Engine) checkSubjects() error {
	for _, subject := range e.words.subjects {
		deny := ast.Ref{ast.DefaultRootDocument, ast.StringTerm("launch"), ast.StringTerm("rules"), subject, ast.StringTerm("deny")}
		if len(e.compiler().GetRulesExact(deny)) == 0 {
			return &Error{C: code.PolicyFailed, Where: "launch.rules", Err: fmt.Errorf("the library's rules about %s are missing; build the program anew", subject)}
		}
	}
	return nil
}

// configure resolves the configuration and lays out the data document.
func (e *Engine) configure(o Options, embedded document, s *site) error {
	var err error
	if e.config, err = resolveConfig(embedded, s.config); err != nil {
		return s.invalid("config", err)
	}
	if err := e.checkEnforcement(s.config); err != nil {
		return s.invalid("config", err)
	}
	switch o.Mode {
	case "":
	case "enforce", "monitor":
		e.config.mode = o.Mode
		e.config.rules["mode"] = o.Mode
	default:
		return &Error{C: code.PolicyInvalid, Err: fmt.Errorf("mode %q is neither enforce nor monitor", o.Mode)}
	}
	var byCode document
	if e.waivers, byCode, err = resolveWaivers(s.waivers, e.codes); err != nil {
		return s.invalid("waivers", err)
	}
	e.catalog = s.listed()
	e.warnings = append(e.warnings, s.expired(e.waivers, time.Now())...)
	b := newTermBuilder()
	e.settings = newSettings(e.config, e.catalog, sorted(ast.NewObject(
		item{ast.StringTerm("codes"), codesTerm(e.codes)}, item{ast.StringTerm("waivers"), b.term(byCode)},
	)), e.reads)
	return nil
}

// generationID is the digest of everything that decides: the library's files,
// by the digest that its rules were generated with, and all files of the site.
func generationID(l library, s *site) string {
	files := []sources.File{{Name: "library", Text: []byte(l.digest)}}
	for _, f := range s.files {
		files = append(files, sources.File{Name: "site/" + f.name, Text: f.text})
	}
	return sources.Digest(files)
}

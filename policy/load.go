package policy

import (
	"context"
	"fmt"

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
// one, which is read, checked and compiled now. Its error is an [*Error] with the code
// policy_invalid, naming file, line and fix, or the context's error. Nothing
// may be launched with a policy that does not load.
func Load(ctx context.Context, o Options) (*Engine, error) {
	s := &site{}
	if o.Path != "" {
		var err error
		if s, err = readSite(o.Path); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, code.New("load policy", code.Canceled, context.Cause(ctx))
	}
	return build(o, embedded(), s)
}

// build makes a generation of the library and a site.
func build(o Options, l library, s *site) (*Engine, error) {
	e := &Engine{deadline: o.Deadline, codes: libraryCodes(), keys: newKeys()}
	if e.deadline <= 0 {
		e.deadline = DefaultDeadline
	}
	e.id = admission.PolicyID{ID: generationID(l, s), Revision: s.manifest.Revision, Sequence: s.manifest.Metadata.Sequence}
	if len(s.modules) == 0 {
		e.compiler = link(l.modules)
	} else if err := e.compileSite(l.modules, s); err != nil {
		return nil, err
	}
	if err := e.configure(o, l.config, s); err != nil {
		return nil, err
	}
	e.query = ast.NewBody(ast.Equality.Expr(ast.NewTerm(resultVar), ast.NewTerm(ast.Ref{
		ast.DefaultRootDocument, ast.StringTerm("launch"), ast.StringTerm("main"), ast.StringTerm("decision"),
	})))
	return e, nil
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
	b := newTermBuilder()
	e.data = &store{root: ast.NewObject(
		item{ast.StringTerm("config"), b.term(e.config.rules)},
		item{ast.StringTerm("catalog"), b.term(s.catalog)},
		item{ast.StringTerm("launch"), sorted(ast.NewObject(
			item{ast.StringTerm("codes"), codesTerm(e.codes)},
			item{ast.StringTerm("waivers"), b.term(byCode)},
		))},
	)}
	e.data.root.Keys()
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

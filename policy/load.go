package policy

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

const (
	entryPoint = "data.launch.main.decision"
	resultVar  = ast.Var("decision")
)

// Load reads, checks and compiles one generation: the embedded library, and the
// site at o.Path when there is one. Its error is an [*Error] with the code
// policy_invalid, naming file, line and fix, or the context's error. Nothing
// may be launched with a policy that does not load.
func Load(ctx context.Context, o Options) (*Engine, error) {
	modules, config, err := libraryFiles()
	if err != nil {
		return nil, invalid(err)
	}
	embedded, err := defaultConfig(config)
	if err != nil {
		return nil, err
	}
	s := &site{}
	if o.Path != "" {
		if s, err = readSite(o.Path); err != nil {
			return nil, err
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, code.New("load policy", code.Canceled, context.Cause(ctx))
	}
	return build(o, append(modules, config), embedded, s)
}

// build makes a generation of the library's files and a site's.
func build(o Options, library []source, embedded document, s *site) (*Engine, error) {
	e := &Engine{deadline: o.Deadline, codes: libraryCodes(), keys: newKeys()}
	if e.deadline <= 0 {
		e.deadline = DefaultDeadline
	}
	e.id = admission.PolicyID{ID: generationID(library, s.files), Revision: s.manifest.Revision, Sequence: s.manifest.Metadata.Sequence}
	if err := e.compile(library, s); err != nil {
		return nil, err
	}
	if err := e.configure(o, embedded, s); err != nil {
		return nil, err
	}
	if err := e.prepare(); err != nil {
		return nil, err
	}
	return e, nil
}

// compile parses the library's rules and the site's, and makes them one.
func (e *Engine) compile(library []source, s *site) error {
	caps := capabilities()
	rules := slices.DeleteFunc(slices.Clone(library), func(f source) bool { return f.name == "launch/data.json" })
	modules, err := parseLibrary(rules, caps)
	if err != nil {
		return err
	}
	if len(s.modules) == 0 {
		e.compiler, err = compile(modules, caps, checkOnly()...)
		return err
	}
	return e.compileSite(modules, s, caps)
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

// prepare compiles the one query.
func (e *Engine) prepare() error {
	entry := ast.NewTerm(ast.Ref{
		ast.DefaultRootDocument, ast.StringTerm("launch"), ast.StringTerm("main"), ast.StringTerm("decision"),
	})
	body := ast.NewBody(ast.Equality.Expr(ast.NewTerm(resultVar), entry))
	query, err := e.compiler.QueryCompiler().Compile(body)
	if err != nil {
		return invalid(err)
	}
	e.query = query
	return nil
}

// generationID is the digest of all files, each with its name and length.
func generationID(lists ...[]source) string {
	h := sha256.New()
	var n [8]byte
	add := func(b []byte) {
		binary.BigEndian.PutUint64(n[:], uint64(len(b)))
		h.Write(n[:])
		h.Write(b)
	}
	for _, files := range lists {
		binary.BigEndian.PutUint64(n[:], uint64(len(files)))
		h.Write(n[:])
		for _, f := range files {
			add([]byte(f.name))
			add(f.text)
		}
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

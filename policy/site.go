package policy

import (
	"errors"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/spawnward/spawnward/spawner/code"
)

// site is what a security team adds to the library.
type site struct {
	files    []source // everything that was read, by name
	modules  []source // the rules among them
	manifest manifest
	config   document
	waivers  document
	catalog  document
}

// manifest is the .manifest of an OPA bundle.
type manifest struct {
	Revision string
	Metadata struct{ Sequence int64 }
}

func (s *site) invalid(where string, err error) error {
	return &Error{C: code.PolicyInvalid, Where: where, Err: err}
}

func readSite(path string) (*site, error) { return nil, errors.New("not yet") }

func (e *Engine) compileSite(modules map[string]*ast.Module, s *site, caps *ast.Capabilities) error {
	return nil
}

func (e *Engine) checkEnforcement(config document) error { return nil }

package policy

import (
	"maps"
	"slices"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
)

// settings is the data document of a generation. The library reads of it what
// holds for the requested service and what is known of the binary's digest, and
// a decision is given no more than that, so that neither loading nor deciding
// grows with the services and digests that a site lists. Rules of a site that
// refer to settings see them for all services, but of lists of digests only what
// these say of the binary's, unless they look further.
type settings struct {
	config   *configuration
	catalog  digestList
	launch   *ast.Term
	reads    int // of rules of the site
	whole    func() (*store, error)
	services sync.Map // terms by *effective, without digests
	unlisted sync.Map // what a digest sees that nothing lists, by *effective
}

func newSettings(c *configuration, catalog digestList, launch *ast.Term, reads int) *settings {
	s := &settings{config: c, catalog: catalog, launch: launch, reads: reads}
	s.whole = sync.OnceValues(func() (*store, error) {
		b := newTermBuilder()
		known, err := catalog.all()
		if err != nil {
			return nil, err
		}
		out := s.store(b.term(c.rules), b.term(known))
		return out, b.err
	})
	return s
}

func (s *settings) store(config, catalog *ast.Term) *store {
	root := ast.NewObject(item{ast.StringTerm("config"), config}, item{ast.StringTerm("catalog"), catalog}, item{ast.StringTerm("launch"), s.launch})
	root.Keys()
	return &store{root: root}
}

// of gives what a decision sees.
func (s *settings) of(service, digest string) (*store, error) {
	switch s.reads {
	case readsAll:
		return s.whole()
	case readsOwn:
		return s.around(digest)
	}
	own := s.config.of(service)
	var found [3]document
	for i, list := range []digestList{own.listed, own.denied, s.catalog} {
		var err error
		if found[i], err = only(list, digest); err != nil {
			return nil, err
		}
	}
	allow, deny, known := found[0], found[1], found[2]
	if len(allow)+len(deny)+len(known) > 0 {
		return s.narrow(service, own, allow, deny, known), nil
	}
	shared, ok := s.unlisted.Load(own)
	if !ok {
		shared, _ = s.unlisted.LoadOrStore(own, s.narrow(service, own, allow, deny, known))
	}
	return shared.(*store), nil
}

// around is the data document with all services and without other digests.
func (s *settings) around(digest string) (*store, error) {
	known, err := only(s.catalog, digest)
	if err != nil {
		return nil, err
	}
	some := len(known) > 0
	lists := make(map[*effective][2]document, 1+len(s.config.services))
	for _, own := range append(slices.Collect(maps.Values(s.config.services)), s.config.defaults) {
		allow, err := only(own.listed, digest)
		if err != nil {
			return nil, err
		}
		deny, err := only(own.denied, digest)
		if err != nil {
			return nil, err
		}
		lists[own] = [2]document{allow, deny}
		some = some || len(allow)+len(deny) > 0
	}
	if shared, ok := s.unlisted.Load((*effective)(nil)); ok && !some {
		return shared.(*store), nil
	}
	b := newTermBuilder()
	o := b.term(without(without(s.config.rules, "services"), "defaults")).Value.(ast.Object)
	services := ast.NewObject()
	for name, own := range s.config.services {
		services.Insert(ast.StringTerm(name), s.effective(own, lists[own][0], lists[own][1]))
	}
	o.Insert(ast.StringTerm("services"), sorted(services))
	o.Insert(ast.StringTerm("defaults"), s.effective(s.config.defaults, lists[s.config.defaults][0], lists[s.config.defaults][1]))
	out := s.store(sorted(o), b.term(known))
	if !some {
		s.unlisted.Store((*effective)(nil), out)
	}
	return out, nil
}

// narrow is the data document without other services and other digests.
func (s *settings) narrow(service string, own *effective, allow, deny, known document) *store {
	config := without(s.config.rules, "services")
	config["defaults"], config["services"] = document{}, document{}
	b := newTermBuilder()
	o := b.term(config).Value.(ast.Object)
	effective := s.effective(own, allow, deny)
	if own == s.config.defaults {
		o.Insert(ast.StringTerm("defaults"), effective)
	} else {
		o.Insert(ast.StringTerm("services"), sorted(ast.NewObject(item{ast.StringTerm(service), effective})))
	}
	return s.store(sorted(o), b.term(known))
}

// effective is what holds for a service, with what its lists say of one digest.
func (s *settings) effective(e *effective, allow, deny document) *ast.Term {
	shared, ok := s.services.Load(e)
	if !ok {
		shared, _ = s.services.LoadOrStore(e, newTermBuilder().term(without(e.rules, "digests")).Value)
	}
	out := ast.NewObject()
	shared.(ast.Object).Foreach(func(k, v *ast.Term) { out.Insert(k, v) })
	out.Insert(ast.StringTerm("digests"), newTermBuilder().term(document{"require_listed": e.requireListed, "allow": allow, "deny": deny}))
	return sorted(out)
}

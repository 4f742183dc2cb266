package policy

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/fault"
)

// document is a decoded JSON object; its numbers are json.Number.
type document = map[string]any

// configuration is the effective configuration of a generation.
type configuration struct {
	mode     string
	required []string
	log      admission.LogSettings
	defaults *effective
	services map[string]*effective
	// rules is what Rego sees as data.config.
	rules document
}

// effective is what holds for one service after all layers are merged.
type effective struct {
	rules    document
	hooks    map[string]string // digests by name
	envSet   map[string]string
	maxBytes int64
	// maxSealedBytes and trustedOwners say how the launcher may hold a binary.
	maxSealedBytes int64
	trustedOwners  []int64
	binding        admission.Binding
	confine        admission.Confine
	enforcement    map[code.Code]string
	// What the doubts about a launch are found by.
	sources, roots []string
	uids, gids     []int64
	requireListed  bool
	listed, denied digestList
	forbidden      []string // beginnings of names of variables
	confined       bool
}

// of gives what holds for a service, the defaults when the site has no entry.
func (c *configuration) of(service string) *effective {
	if e, ok := c.services[service]; ok {
		return e
	}
	return c.defaults
}

// resolveConfig merges the embedded configuration, the site's and each
// service's. Both documents have been checked against the schema.
func resolveConfig(embedded, site document) (*configuration, error) {
	top := merge("", embedded, without(site, "services"))
	defaults, err := resolveEffective(top["defaults"].(document))
	if err != nil {
		return nil, err
	}
	c := &configuration{
		mode: top["mode"].(string), required: texts(top["require_grants"]),
		defaults: defaults, services: map[string]*effective{},
	}
	log := top["log"].(document)
	c.log.Warn = log["on_failure"] == "warn"
	if c.log.MaxBytes, err = integer(log["max_bytes"]); err != nil {
		return nil, fmt.Errorf("log.max_bytes: %w", err)
	}
	services := document{}
	own, _ := site["services"].(document)
	for _, name := range sortedKeys(own) {
		merged := merge("", top["defaults"].(document), own[name].(document))
		e, err := resolveEffective(merged)
		if err != nil {
			return nil, fmt.Errorf("services.%s: %w", name, err)
		}
		c.services[name], services[name] = e, e.rules
	}
	c.rules = merge("", top, nil)
	c.rules["defaults"], c.rules["services"] = defaults.rules, services
	return c, nil
}

// merge lays over onto base. Objects merge member by member, so that a
// deny-list kept as an object becomes a union; scalars and lists replace,
// except for the deny-lists kept as lists; allow-lists and single limits replace
// as a whole.
func merge(path string, base, over document) document {
	out := make(document, len(base)+len(over))
	for k, v := range base {
		out[k] = v
	}
	for k, v := range over {
		at := strings.TrimPrefix(path+"."+k, ".")
		before, ok := base[k].(document)
		after, isObject := v.(document)
		switch {
		case strings.HasSuffix(at, "digests.deny"):
			out[k] = layer(listOf(base[k]), listOf(v))
		case ok && isObject && len(after) == 0 && !replacesWhole(at):
		case ok && isObject && !replacesWhole(at):
			out[k] = merge(at, before, after)
		case strings.HasSuffix(at, "env.deny") && !fault.Mutant("deny-lists-replace"):
			out[k] = union(base[k], v)
		case strings.HasSuffix(at, "confine.drop_caps"):
			out[k] = mergeDrops(base[k], v)
		default:
			out[k] = v
		}
	}
	return out
}

func replacesWhole(path string) bool {
	return strings.HasSuffix(path, "digests.allow") || strings.HasSuffix(path, "hooks.allow") || strings.Contains(path, "confine.limits.")
}

func union(a, b any) []any {
	out := slices.Clone(anys(a))
	for _, v := range anys(b) {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// resolveEffective turns a merged layer into what the rules and the launcher
// use: patterns of names are sorted by how they are looked up.
func resolveEffective(merged document) (*effective, error) {
	rules := merge("", merged, nil)
	env := merged["env"].(document)
	rules["env"] = document{"allow": names(texts(env["allow"])), "deny": names(texts(env["deny"])), "set": env["set"]}
	allowed := merged["hooks"].(document)["allow"].(document)
	hooks, digests := make(document, len(allowed)), make(map[string]string, len(allowed))
	for name, v := range allowed {
		hook := v.(document)
		hooks[name] = document{"sha256": hook["sha256"], "may_touch": names(texts(hook["may_touch"]))}
		digests[name] = hook["sha256"].(string)
	}
	rules["hooks"] = document{"allow": hooks}
	binary := merged["binary"].(document)
	maxBytes, err := integer(binary["max_bytes"])
	if err != nil {
		return nil, fmt.Errorf("binary.max_bytes: %w", err)
	}
	maxSealedBytes, err := integer(binary["max_sealed_bytes"])
	if err != nil {
		return nil, fmt.Errorf("binary.max_sealed_bytes: %w", err)
	}
	confine, confineRules, err := resolveConfine(merged["confine"].(document))
	if err != nil {
		return nil, err
	}
	rules["confine"] = confineRules
	e := &effective{
		rules: rules, hooks: digests, maxBytes: maxBytes, maxSealedBytes: maxSealedBytes, envSet: map[string]string{}, enforcement: map[code.Code]string{}, confine: confine,
		binding: admission.Binding(merged["binding"].(document)["minimum"].(string)),
	}
	if e.trustedOwners, err = integers(binary["trusted_owners"]); err != nil {
		return nil, fmt.Errorf("binary.trusted_owners: %w", err)
	}
	if err := e.resolveLists(merged); err != nil {
		return nil, err
	}
	for k, v := range env["set"].(document) {
		e.envSet[k] = v.(string)
	}
	for k, v := range merged["enforcement"].(document) {
		e.enforcement[code.Code(k)] = v.(string)
	}
	return e, nil
}

// resolveLists keeps in the form of the host what doubts are found by.
func (e *effective) resolveLists(merged document) error {
	section := func(name string) document { return merged[name].(document) }
	e.sources, e.roots = texts(section("definitions")["sources"]), texts(section("roots")["allowed"])
	digests := section("digests")
	e.requireListed = digests["require_listed"] == true
	e.listed, e.denied = listOf(digests["allow"]), listOf(digests["deny"])
	for _, pattern := range texts(section("env")["deny"]) {
		start, _, _ := strings.Cut(pattern, "*")
		e.forbidden = append(e.forbidden, start)
	}
	e.confined = !e.confine.IsZero()
	var err error
	if e.uids, err = integers(section("callers")["uids"]); err != nil {
		return fmt.Errorf("callers.uids: %w", err)
	}
	if e.gids, err = integers(section("callers")["gids"]); err != nil {
		return fmt.Errorf("callers.gids: %w", err)
	}
	return nil
}

func integers(v any) ([]int64, error) {
	var out []int64
	for _, one := range anys(v) {
		n, err := integer(one)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// names sorts patterns of variable names: exact ones as an object, those that
// end in their only '*' as prefixes, the rest as patterns.
func names(patterns []string) document {
	exact, prefixes, rest := document{}, []any{}, []any{}
	for _, p := range patterns {
		star := strings.IndexByte(p, '*')
		switch {
		case star < 0:
			exact[p] = true
		case star == len(p)-1:
			prefixes = append(prefixes, p[:star])
		default:
			rest = append(rest, p)
		}
	}
	return document{"names": exact, "prefixes": prefixes, "patterns": rest}
}

func without(d document, key string) document {
	out := make(document, len(d))
	for k, v := range d {
		if k != key {
			out[k] = v
		}
	}
	return out
}

func anys(v any) []any {
	list, _ := v.([]any)
	return list
}

func texts(v any) []string {
	out := []string{}
	for _, e := range anys(v) {
		s, _ := e.(string)
		out = append(out, s)
	}
	return out
}

func integer(v any) (int64, error) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, fmt.Errorf("%v is not a number", v)
	}
	i, err := n.Int64()
	if err != nil {
		return 0, fmt.Errorf("%s is not an integer between 0 and %d", n, int64(math.MaxInt64))
	}
	return i, nil
}

package policy

import (
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

var errContradiction = errors.New("the decision contradicts itself")

// requiredGrants are those of the library; a site's require_grants adds to them.
func requiredGrants() []string { return []string{"placement", "version", "ownership"} }

// verify holds the decision against what must be true of every decision,
// whatever the rules say: nobody is let in beside a violation, without every
// required grant, by an expired waiver or against a mandatory code.
func (e *Engine) verify(d *admission.Decision, in *admission.Input) error {
	eff := e.config.of(in.Request.Service)
	if d.Schema != 1 {
		return fmt.Errorf("%w: schema %d is unknown", errContradiction, d.Schema)
	}
	if d.Mode != "enforce" && (d.Mode != "monitor" || e.config.mode != "monitor" || in.Launcher.Mode != "monitor") {
		return fmt.Errorf("%w: mode is %q", errContradiction, d.Mode)
	}
	if d.Allow != (len(d.Violations) == 0) {
		return fmt.Errorf("%w: allow is %t beside %d violations", errContradiction, d.Allow, len(d.Violations))
	}
	for _, g := range append(requiredGrants(), e.config.required...) {
		if d.Allow && !slices.Contains(d.Grants, g) {
			return fmt.Errorf("%w: allow is true without the grant %q", errContradiction, g)
		}
	}
	if !d.Obligations.Binding.Satisfies(eff.binding) || !reflect.DeepEqual(d.Obligations.Confine, eff.confine) {
		return fmt.Errorf("%w: the obligations are not those of the configuration", errContradiction)
	}
	if err := verifyHooks(d, in, eff); err != nil {
		return err
	}
	for _, f := range d.Violations {
		if err := e.verifyFinding(f); err != nil {
			return err
		}
	}
	for _, f := range d.Warnings {
		if err := e.verifyWarning(f, eff); err != nil {
			return err
		}
	}
	for _, w := range d.Waived {
		if err := e.verifyWaived(w, in); err != nil {
			return err
		}
	}
	return nil
}

// verifyHooks holds an admission against the list of hooks, and the obligations
// against the hooks of the definition.
func verifyHooks(d *admission.Decision, in *admission.Input, eff *effective) error {
	names := make([]string, len(in.Hooks))
	for i, h := range in.Hooks {
		names[i] = h.Name
		listed := eff.hooks[h.Name]
		if d.Allow && (listed == "" || h.SHA256 != listed || h.Error != "") {
			return fmt.Errorf("%w: allow is true beside the hook %q, which may not run", errContradiction, h.Name)
		}
	}
	if !slices.Equal(names, d.Obligations.Hooks) {
		return fmt.Errorf("%w: the obligations name the hooks %q, not %q", errContradiction, d.Obligations.Hooks, names)
	}
	return nil
}

func (e *Engine) verifyFinding(f admission.Finding) error {
	entry, known := e.codes[f.Code]
	if !known && !isSiteCode(f.Code) {
		if f.Code == "" {
			return fmt.Errorf("%s has an element that is not {\"code\", \"message\", \"evidence\"}: %s", f.Rule, f.Message)
		}
		return fmt.Errorf("%s uses the code %q; a site's codes have the form site_[a-z0-9_]+", f.Rule, f.Code)
	}
	if !known {
		return fmt.Errorf("%s uses the code %q, which no rule declares; add custom: {code: %s} to the rule's # METADATA", f.Rule, f.Code, f.Code)
	}
	if f.Enforcement != entry.enforcement || f.Severity != entry.severity {
		return fmt.Errorf("%w: %s is %s and not %s", errContradiction, f.Code, entry.enforcement, f.Enforcement)
	}
	if entry.rule != "" && f.Rule != entry.rule {
		return fmt.Errorf("%s uses the library's code %q; a site's codes have the form site_[a-z0-9_]+", f.Rule, f.Code)
	}
	if f.Rule == "" {
		return fmt.Errorf("%w: no rule is named that found %s", errContradiction, f.Code)
	}
	return nil
}

func (e *Engine) verifyWarning(f admission.Finding, eff *effective) error {
	if err := e.verifyFinding(f); err != nil {
		return err
	}
	if f.Enforcement == code.Mandatory {
		return fmt.Errorf("%w: %s is mandatory and cannot be a warning; declare it standard, or let deny give it", errContradiction, f.Code)
	}
	if isSiteCode(f.Code) || f.Code == code.WaiverExpired {
		return nil
	}
	if f.Enforcement != code.Standard || eff.enforcement[f.Code] != "warn" {
		return fmt.Errorf("%w: %s is a warning although the configuration does not say so", errContradiction, f.Code)
	}
	return nil
}

func (e *Engine) verifyWaived(w admission.Waived, in *admission.Input) error {
	waiver, ok := e.waivers[w.Waiver]
	if !ok || waiver.code != w.Code || waiver.service != in.Request.Service || (waiver.sha256 != "" && waiver.sha256 != in.Binary.SHA256) {
		return fmt.Errorf("%w: waiver %q does not cover %s", errContradiction, w.Waiver, w.Code)
	}
	entry, known := e.codes[w.Code]
	if !known {
		return fmt.Errorf("the waived code %q is one that no rule declares; add custom: {code: %s} to the rule's # METADATA", w.Code, w.Code)
	}
	if entry.enforcement != code.Standard || !entry.waivable {
		return fmt.Errorf("%w: %s cannot be waived", errContradiction, w.Code)
	}
	if in.NowNS >= waiver.expires.UnixNano() || w.Expires != waiver.text {
		return fmt.Errorf("%w: waiver %q has expired", errContradiction, w.Waiver)
	}
	return nil
}

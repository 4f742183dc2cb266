package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"github.com/spawnward/spawnward/policy"
	"github.com/spawnward/spawnward/spawner/code"
)

func (a *app) policyCommands() []*command {
	var markdown bool
	return []*command{
		{
			name: "init", args: "DIR", short: "write a commented site with rules and tests into a new directory",
			example: "spawnward policy init site-policy", run: a.policyInit,
		},
		a.policyTestCommand(),
		{
			name: "check", args: "DIR|BUNDLE", short: "make every check of a launch on a site's policy",
			example: "spawnward policy check site-policy\n  spawnward policy check --verification-key release.pub site.tar.gz",
			flags:   a.keyFlags, run: a.policyCheck,
		},
		a.explainCommand(), a.diffCommand(), a.policyBuildCommand(), a.policySignCommand(),
		{
			name: "verify", args: "BUNDLE", short: "say who signed a bundle, and what is in it",
			example: "spawnward policy verify --verification-key release.pub site.tar.gz",
			flags:   a.keyFlags, run: a.policyVerify,
		},
		{
			name: "rules", args: "[DIR|BUNDLE]", short: "list the codes of the library, and of a site, with level and remedy",
			example: "spawnward policy rules\n  spawnward policy rules --markdown site-policy",
			flags:   func(fs *pflag.FlagSet) { fs.BoolVar(&markdown, "markdown", false, "print a table in Markdown") },
			run:     func(ctx context.Context, args []string) error { return a.policyRules(ctx, args, markdown) },
		},
	}
}

// jsonPolicy is what policy check and policy verify say.
type jsonPolicy struct {
	Path     string           `json:"path"`
	Valid    bool             `json:"valid"`
	Policy   *jsonPolicyID    `json:"policy"` // null when it is not valid
	Key      string           `json:"key"`    // that verified it; "" when none was asked for
	Name     string           `json:"name"`
	Modules  []string         `json:"modules"`
	Codes    []code.Code      `json:"codes"`
	Warnings []policy.Warning `json:"warnings"`
	Problem  *jsonProblem     `json:"problem"` // null when it is valid
}

type jsonPolicyID struct {
	ID       string `json:"id"`
	Revision string `json:"revision"`
	Sequence int64  `json:"sequence"`
}

type jsonProblem struct {
	Code    code.Code `json:"code"`
	Where   string    `json:"where"`
	Message string    `json:"message"`
}

func (a *app) policyCheck(ctx context.Context, args []string) error {
	path, err := oneArg("policy check", args, "DIR or BUNDLE")
	if err != nil {
		return err
	}
	return a.inspect(ctx, path, "valid")
}

func (a *app) policyVerify(ctx context.Context, args []string) error {
	path, err := oneArg("policy verify", args, "BUNDLE")
	if err != nil {
		return err
	}
	if len(a.flags.keys) == 0 {
		return usage("policy verify", "it needs a --verification-key")
	}
	return a.inspect(ctx, path, "verified")
}

// inspect prints what there is to know of a policy, or what is wrong with it.
func (a *app) inspect(ctx context.Context, path, verdict string) error {
	keys, err := a.inspectionKeys()
	if err != nil {
		return err
	}
	p, err := policy.Inspect(ctx, path, keys)
	if err != nil {
		return a.invalidPolicy(path, err)
	}
	if a.flags.output == "json" {
		return a.printJSON(jsonPolicy{
			Path: path, Valid: true, Policy: &jsonPolicyID{p.Policy.ID, p.Policy.Revision, p.Policy.Sequence},
			Key: p.Key, Name: p.Name, Modules: p.Modules, Codes: p.Codes, Warnings: p.Warnings,
		})
	}
	rows := [][2]string{{verdict, path}, {"  policy", p.Policy.ID}}
	add := func(name, value string) {
		if value != "" && value != "0" {
			rows = append(rows, [2]string{"  " + name, value})
		}
	}
	add("revision", p.Policy.Revision)
	add("sequence", fmt.Sprint(p.Policy.Sequence))
	add("name", p.Name)
	add("key", p.Key)
	add("rules", strings.Join(p.Modules, " "))
	add("codes", joined(p.Codes))
	for _, w := range p.Warnings {
		a.tell(w)
	}
	return a.table(rows)
}

func joined(codes []code.Code) string {
	var b strings.Builder
	for i, c := range codes {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(string(c))
	}
	return b.String()
}

// invalidPolicy gives the error of a policy that does not load, which as JSON
// has the form of the answer.
func (a *app) invalidPolicy(path string, err error) error {
	own, ok := errors.AsType[*policy.Error](err)
	if !ok || a.flags.output != "json" {
		return err
	}
	return errors.Join(a.printJSON(jsonPolicy{
		Path: path, Modules: []string{}, Codes: []code.Code{}, Warnings: []policy.Warning{},
		Problem: &jsonProblem{own.C, own.Where, own.Err.Error()},
	}), silent{err})
}

func (a *app) policyRules(ctx context.Context, args []string, markdown bool) error {
	path := ""
	if len(args) > 0 {
		var err error
		if path, err = oneArg("policy rules", args, "DIR or BUNDLE"); err != nil {
			return err
		}
	}
	rules, err := policy.Rules(ctx, path)
	if err != nil {
		return err
	}
	if a.flags.output == "json" {
		return a.printJSON(struct {
			Rules []policy.Rule `json:"rules"`
		}{rules})
	}
	if markdown {
		return a.markdownRules(rules)
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "CODE\tLEVEL\tSEVERITY\tWAIVABLE\tWHAT IT HOLDS")
	for _, r := range rules {
		fmt.Fprintf(w, "%s\t%s\t%s\t%t\t%s\n", r.Code, r.Enforcement, r.Severity, r.Waivable, safe(r.Title, false))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return a.printf("%s", b.String())
}

func (a *app) markdownRules(rules []policy.Rule) error {
	cell := func(s string) string { return strings.ReplaceAll(safe(s, false), "|", `\|`) }
	var b strings.Builder
	b.WriteString("| code | level | severity | waivable | what it holds | what to do |\n|---|---|---|---|---|---|\n")
	for _, r := range rules {
		waivable := "no"
		if r.Waivable {
			waivable = "yes"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", r.Code, r.Enforcement, r.Severity, waivable, cell(r.Title), cell(r.Remediation))
	}
	return a.printf("%s", b.String())
}

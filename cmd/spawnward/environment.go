package main

import (
	"strconv"

	"github.com/spawnward/spawnward/policy"
	"github.com/spawnward/spawnward/spawner"
	"github.com/spawnward/spawnward/spawner/admission"
)

// checked is what check prints as JSON: the report, and the environment that
// the backend would get. Values are secrets as far as this command knows.
type checked struct {
	*spawner.Report
	Remedies []policy.Remedy     `json:"remedies"`
	Env      []checkedVar        `json:"env,omitempty"`
	Hooks    []admission.HookRun `json:"hooks,omitempty"`
}

// checkedVar is one variable with who set it; Value is left out unless values
// are asked for.
type checkedVar struct {
	Name   string  `json:"name"`
	Value  *string `json:"value,omitempty"`
	Origin string  `json:"origin"`
}

func (a *app) checkReport(r *spawner.Report) checked {
	c := checked{Report: r}
	if r.Input == nil {
		return c
	}
	c.Hooks = r.Input.Hooks
	for _, v := range r.Input.Env {
		own := checkedVar{Name: v.Name, Origin: v.Origin}
		if a.flags.showValues {
			own.Value = &v.Value
		}
		c.Env = append(c.Env, own)
	}
	return c
}

// printEnvironment shows who set what, and what hooks took away.
func (a *app) printEnvironment(in *admission.Input) error {
	var env, hooks [][2]string
	for _, v := range in.Env {
		text := v.Origin
		if a.flags.showValues {
			text += "  " + strconv.Quote(v.Value)
		}
		env = append(env, [2]string{"  " + safe(v.Name, false), text})
	}
	for _, h := range in.Hooks {
		for _, name := range h.Unset {
			env = append(env, [2]string{"  " + name, "unset by " + admission.OriginHook + ":" + h.Name})
		}
		hooks = append(hooks, [2]string{"  " + h.Name, hookText(h)})
	}
	if err := a.printf("\n%s\n", a.brush(a.stdout)(heading, "Environment")); err != nil {
		return err
	}
	if err := a.table(env); err != nil || len(hooks) == 0 {
		return err
	}
	if err := a.printf("\nHooks\n"); err != nil {
		return err
	}
	return a.table(hooks)
}

func hookText(h admission.HookRun) string {
	switch {
	case h.Error != "":
		return h.Error + "  " + h.Detail
	case !h.Ran:
		return "not run"
	}
	return "ran  sha256 " + h.SHA256
}

package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/spawnward/spawnward/spawner/code"
)

// manPage prints the manual page, in the man macros of groff_man(7), made from
// the same texts as --help.
func (a *app) manPage(_ context.Context, _ []string) error {
	var m manual
	m.macro("TH", "SPAWNWARD", "1", "", "spawnward "+versionText(), "User Commands")
	m.section("NAME")
	m.text("spawnward - start backends that policy has admitted, and nothing else")
	m.section("SYNOPSIS")
	m.text("spawnward COMMAND [ARGUMENT...] [flags]")
	m.section("DESCRIPTION")
	m.text("A request names a service and a version. The definition of the service is read; its binary is opened, measured and hashed; " +
		"rules in Rego, evaluated by OPA, decide on its admission; the measured file is started detached, compared before its first instruction, " +
		"and probed on its endpoint before a handle is printed. A doubt is a denial.")
	m.section("COMMANDS")
	a.manCommands(&m, "spawnward", a.commands())
	m.section("EXIT STATUS")
	for _, s := range []struct {
		status int
		means  string
	}{
		{code.ExitOK, "The command did what it was asked to do."},
		{code.ExitOther, "Any failure without a status of its own."},
		{code.ExitUsage, "The command line is wrong."},
		{code.ExitDenied, "Policy decided against the launch."},
		{code.ExitPolicy, "Policy could not be evaluated."},
		{code.ExitSpawn, "The program could not be started as demanded."},
		{code.ExitIdentity, "The running process is not the measured one."},
		{code.ExitProbe, "The backend was not ready, or its probe failed."},
		{code.ExitLimited, "Rate limited, or another launch is in progress."},
	} {
		m.item(fmt.Sprint(s.status), s.means)
	}
	m.section("ENVIRONMENT")
	m.item("RUNNING_PROCESS_SERVICE_DEF_DIR", "The user's directory of service definitions.")
	m.item("XDG_STATE_HOME", "Where records are kept; ~/.local/state without it.")
	m.item("XDG_RUNTIME_DIR", "Where endpoints stand; a private directory below /tmp without it.")
	m.item("NO_COLOR", "Not empty: no colour on a terminal.")
	m.section("FILES")
	m.item(pinnedConfig, "What root has settled for every caller; flags may only tighten it.")
	m.item("/etc/spawnward/services/", "Definitions that users cannot override.")
	return a.printf("%s", m.String())
}

func (a *app) manCommands(m *manual, path string, list []*command) {
	for _, c := range list {
		at := path + " " + c.name
		switch {
		case c.hidden:
		case c.subs != nil:
			a.manCommands(m, at, c.subs)
		default:
			a.manCommand(m, at, c)
		}
	}
}

func (a *app) manCommand(m *manual, path string, c *command) {
	m.macro("SS", strings.TrimPrefix(path, "spawnward ")+" "+c.args)
	m.text(strings.ToUpper(c.short[:1]) + c.short[1:] + ".")
	m.macro("PP")
	m.text("Example:")
	m.macro("PP")
	m.macro("RS", "4")
	m.macro("nf")
	for line := range strings.Lines(c.example) {
		m.text(strings.TrimSpace(line))
	}
	m.macro("fi")
	m.macro("RE")
	a.flagSet(path, c).VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if value != "" {
			name += " " + value
		}
		m.item(name, usage)
	})
}

// manual writes roff.
type manual struct{ strings.Builder }

func (m *manual) macro(name string, args ...string) {
	m.WriteString("." + name)
	for _, arg := range args {
		m.WriteString(` "` + strings.ReplaceAll(roff(strings.TrimSpace(arg)), `"`, `\(dq`) + `"`)
	}
	m.WriteByte('\n')
}

func (m *manual) section(name string) { m.macro("SH", name) }

func (m *manual) text(line string) {
	line = roff(line)
	if line != "" && strings.ContainsRune(".'", rune(line[0])) {
		line = `\&` + line
	}
	m.WriteString(line + "\n")
}

func (m *manual) item(term, text string) {
	m.macro("TP")
	m.text(term)
	m.text(text)
}

// roff escapes what the formatter would take for its own.
func roff(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "~", `\(ti`, "^", `\(ha`, "`", `\(ga`).Replace(text)
}

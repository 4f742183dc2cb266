package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/spawnward/spawnward/spawner/code"
	"github.com/spawnward/spawnward/spawner/service"
)

// candidate is a word that may stand where the cursor is.
type candidate struct{ word, about string }

// What the shell itself is to complete; a line of its own in the answer.
const (
	filesHere = ":files"
	dirsHere  = ":dirs"
)

// complete answers the completion scripts: given the words of a command line
// after the command's name, the unfinished one last, it prints a line for each
// word that fits, with a tab and a few words about it. It reads what the command
// would read, starts nothing, and is silent about what it cannot read.
func (a *app) complete(_ context.Context, words []string) error {
	if len(words) == 0 {
		words = []string{""}
	}
	current := words[len(words)-1]
	c, rest := descend(a.commands(), words[:len(words)-1])
	var found []candidate
	if c.subs != nil {
		found = subcommands(c)
	} else {
		found = a.completeArgs(c, rest, current)
	}
	var b strings.Builder
	for _, f := range found {
		if strings.HasPrefix(f.word, current) || f.word == filesHere || f.word == dirsHere {
			fmt.Fprintf(&b, "%s\t%s\n", f.word, f.about)
		}
	}
	return a.printf("%s", b.String())
}

// descend follows the commands that the words name, and gives the words after.
func descend(top []*command, words []string) (*command, []string) {
	c := &command{subs: top}
	for c.subs != nil && len(words) > 0 {
		at := slices.IndexFunc(c.subs, func(s *command) bool { return s.name == words[0] && !s.hidden })
		if at < 0 {
			return &command{subs: []*command{}}, nil
		}
		c, words = c.subs[at], words[1:]
	}
	return c, words
}

func subcommands(c *command) []candidate {
	var out []candidate
	for _, s := range c.subs {
		if !s.hidden {
			out = append(out, candidate{s.name, s.short})
		}
	}
	return out
}

func (a *app) completeArgs(c *command, before []string, current string) []candidate {
	if slices.Contains(before, "--") {
		return []candidate{{word: filesHere}}
	}
	fs := a.flagSet("", c)
	if err := fs.Parse(before); err != nil {
		// The word before may be a flag that still lacks its value.
		last := ""
		if len(before) > 0 {
			last = before[len(before)-1]
		}
		if f := lookupFlag(fs, last); f != nil && f.NoOptDefVal == "" {
			return a.flagValues(c, f.Name)
		}
	}
	if name, _, ok := strings.Cut(current, "="); ok && strings.HasPrefix(name, "--") {
		var out []candidate
		for _, v := range a.flagValues(c, name[2:]) {
			if v.word != filesHere && v.word != dirsHere {
				v.word = name + "=" + v.word
			}
			out = append(out, v)
		}
		return out
	}
	if strings.HasPrefix(current, "-") {
		return flagNames(fs)
	}
	return a.positional(c, fs, current)
}

func lookupFlag(fs *pflag.FlagSet, word string) *pflag.Flag {
	switch {
	case strings.HasPrefix(word, "--"):
		return fs.Lookup(word[2:])
	case len(word) == 2 && word[0] == '-':
		return fs.ShorthandLookup(word[1:])
	}
	return nil
}

func flagNames(fs *pflag.FlagSet) []candidate {
	var out []candidate
	fs.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			out = append(out, candidate{"--" + f.Name, f.Usage})
		}
	})
	return out
}

// flagValues are the words that may follow a flag. One that takes free text has
// none.
func (a *app) flagValues(c *command, name string) []candidate {
	switch name {
	case "output":
		return plain(c.outputs()...)
	case "mode":
		return plain("enforce")
	case "probe":
		return plain(string(service.ProbeIdentity), string(service.ProbePeer), string(service.ProbeNotify))
	case "engine":
		return plain("interpreter", "compiler")
	case "lang":
		return plain("go", "rust", "c", "as")
	case "to":
		return plain("yaml", "json", "servicedef")
	case "outcome":
		return plain(outcomes()...)
	case "code":
		return codes()
	case "service":
		return a.services()
	case "services", "root", "state":
		return []candidate{{word: dirsHere}}
	case "binary", "policy", "log", "verification-key", "junit", "html", "against":
		return []candidate{{word: filesHere}}
	}
	return nil
}

func plain(words ...string) []candidate {
	out := make([]candidate, len(words))
	for i, w := range words {
		out[i].word = w
	}
	return out
}

func codes() []candidate {
	var out []candidate
	for _, e := range code.Table() {
		out = append(out, candidate{string(e.Code), e.Fix})
	}
	return out
}

// positional completes what is no flag, by what the command's help says of it.
func (a *app) positional(c *command, fs *pflag.FlagSet, current string) []candidate {
	word, _, _ := strings.Cut(c.args, " ")
	if fs.NArg() > 0 && !strings.Contains(c.args, "...") {
		return nil
	}
	switch {
	case c.name == "completion":
		return plain(shells()...)
	case strings.HasPrefix(word, "SERVICE[@VERSION]"):
		if name, _, ok := strings.Cut(current, "@"); ok {
			return a.versions(name)
		}
		return a.services()
	case word == "SERVICE|FILE":
		return append(a.services(), candidate{word: filesHere})
	case strings.Contains(word, "DIR"):
		return []candidate{{word: dirsHere}}
	case word != "":
		return []candidate{{word: filesHere}}
	}
	return nil
}

func (a *app) services() []candidate {
	dirs, err := a.dirs()
	if err != nil {
		return nil
	}
	entries, _ := service.List(dirs)
	var out []candidate
	for _, e := range entries {
		out = append(out, candidate{e.Name, e.Path})
	}
	return out
}

// versions are those that the definition lists and those that are recorded.
func (a *app) versions(name string) []candidate {
	var out []candidate
	if dirs, err := a.dirs(); err == nil {
		if l, err := service.Load(dirs, name); err == nil {
			for _, v := range l.Definition.VersionAllowList {
				out = append(out, candidate{name + "@" + v, "listed"})
			}
		}
	}
	l, err := a.launcher(nil)
	if err != nil {
		return out
	}
	recorded, err := l.Recorded(name)
	if err != nil {
		return out
	}
	for _, v := range recorded {
		if c := (candidate{name + "@" + v, "recorded"}); !slices.ContainsFunc(out, func(o candidate) bool { return o.word == c.word }) {
			out = append(out, c)
		}
	}
	return out
}

package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"
)

func helpText(path string, c *command, fs *pflag.FlagSet) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s.\n\nUsage:\n  %s", strings.ToUpper(c.short[:1]), c.short[1:], path)
	if c.args != "" {
		fmt.Fprintf(&b, " %s", c.args)
	}
	fmt.Fprintf(&b, " [flags]\n\nExample:\n  %s\n\nFlags:\n%s", c.example, fs.FlagUsages())
	return b.String()
}

func groupHelp(path string, c *command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s%s\n\nUsage:\n  %s COMMAND [flags]\n\nCommands:\n", strings.ToUpper(c.short[:1]), c.short[1:], path)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, sub := range c.subs {
		if !sub.hidden {
			fmt.Fprintf(w, "  %s\t%s\n", sub.name, sub.short)
		}
	}
	_ = w.Flush() // a strings.Builder cannot fail
	fmt.Fprintf(&b, "\n\"%s COMMAND --help\" says more.\n", path)
	return b.String()
}

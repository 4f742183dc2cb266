package main

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// mayBeEmpty are the flags that hand on what came with a request, which is
// nothing when they are empty.
func mayBeEmpty() []string { return []string{"traceparent", "tracestate", "request-id"} }

// refuseEmpty refuses empty arguments and flags: whoever writes --policy "$SITE"
// with a SITE that is not set means neither the default nor this directory.
func refuseEmpty(path string, fs *pflag.FlagSet, args []string) (err error) {
	fs.Visit(func(f *pflag.Flag) {
		empty := f.Value.String() == ""
		if list, ok := f.Value.(pflag.SliceValue); ok {
			empty = slices.Contains(list.GetSlice(), "")
		}
		if empty && err == nil && !slices.Contains(mayBeEmpty(), f.Name) {
			err = usage(path, "--%s is empty; give it a value, or leave it out", f.Name)
		}
	})
	if at := slices.Index(args, ""); err == nil && at >= 0 {
		err = usage(path, "argument %d is empty; is a variable of the shell not set?", at+1)
	}
	return err
}

// wantedOutput is json where that was asked for on a command line that cannot be
// parsed: what reads the answer still gets one.
func wantedOutput(args []string) string {
	words := strings.Join(args, " ") + " "
	for _, form := range []string{"-o json ", "-ojson ", "-o=json ", "--output json ", "--output=json "} {
		if strings.Contains(" "+words, " "+form) {
			return "json"
		}
	}
	return "text"
}

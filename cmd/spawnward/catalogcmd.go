package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spawnward/spawnward/policy"
)

func (a *app) catalogCommands() []*command {
	return []*command{
		{
			name: "add", args: "DIR SERVICE@VERSION FILE|SHA256", short: "add a release to a site's catalogue; comments stay",
			example: "spawnward catalog add site-policy redis@7.0.15 /usr/bin/redis-server", run: a.catalogAdd,
		},
		{
			name: "list", args: "DIR|BUNDLE", short: "list the releases that a site knows",
			example: "spawnward catalog list site-policy", run: a.catalogList,
		},
	}
}

// jsonAdded is what catalog add says.
type jsonAdded struct {
	File    string         `json:"file"`
	Added   bool           `json:"added"` // false: it was there
	Release policy.Release `json:"release"`
}

func (a *app) catalogAdd(ctx context.Context, args []string) error {
	if len(args) != 3 {
		return usage("catalog add", "it takes DIR, SERVICE@VERSION and FILE or SHA256, not %d arguments", len(args))
	}
	service, version, ok := strings.Cut(args[1], "@")
	if !ok {
		return usage("catalog add", "%q has no version; write SERVICE@VERSION", args[1])
	}
	digest, err := releaseDigest(args[2])
	if err != nil {
		return err
	}
	r := policy.Release{SHA256: digest, Service: service, Version: version}
	edit, err := policy.AddRelease(ctx, args[0], r)
	if err != nil {
		return err
	}
	if edit.Changed {
		if err := edit.Unchanged(); err != nil {
			return err
		}
		if err := replaceFile(edit.File, edit.New); err != nil {
			return err
		}
	}
	if a.flags.output == "json" {
		return a.printJSON(jsonAdded{edit.File, edit.Changed, r})
	}
	verb := "added"
	if !edit.Changed {
		verb = "was there"
	}
	return a.table([][2]string{{verb, args[1]}, {"  sha256", digest}, {"  file", edit.File}})
}

// releaseDigest gives a digest that is written out, or that of a file.
func releaseDigest(arg string) (string, error) {
	if raw, err := hex.DecodeString(arg); err == nil && len(raw) == sha256.Size {
		return strings.ToLower(arg), nil
	}
	f, err := os.Open(arg)
	if err != nil {
		return "", fmt.Errorf("%w; name a file, or write the 64 digits of a SHA-256", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no regular file", arg)
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (a *app) catalogList(ctx context.Context, args []string) error {
	path, err := oneArg("catalog list", args, "DIR or BUNDLE")
	if err != nil {
		return err
	}
	list, err := policy.Catalog(ctx, path)
	if err != nil {
		return err
	}
	if a.flags.output == "json" {
		return a.printJSON(struct {
			Releases []policy.Release `json:"releases"`
		}{list})
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, r := range list {
		fmt.Fprintf(w, "%s@%s\t%s\n", r.Service, r.Version, r.SHA256)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return a.printf("%s", b.String())
}

// Package rego embeds the policy library: the rules, the schemas of every
// document the project reads or writes, the default configuration, and a site to
// begin with.
//
// It has no logic. Package policy loads what is here; the same files can be
// read by the opa command.
package rego

import "embed"

// Library holds the rules under launch/ without their tests, launch/data.json, the
// default configuration, and the good launch that a site's own tests begin with.
//
//go:embed launch/data.json launch/fixture_test.rego launch/main.rego launch/lib
//go:embed launch/rules/binding.rego launch/rules/caller.rego launch/rules/definition.rego
//go:embed launch/rules/digest.rego launch/rules/environment.rego launch/rules/file.rego
//go:embed launch/rules/hook.rego launch/rules/placement.rego launch/rules/request.rego
//go:embed launch/rules/version.rego
var Library embed.FS

// Schemas holds the JSON schemas under schema/.
//
//go:embed schema
var Schemas embed.FS

// Example is a site under example/ that a team begins with: every file is
// commented, passes every check, and has tests.
//
//go:embed all:example
var Example embed.FS

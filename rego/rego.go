// Package rego embeds the policy library: the rules, the schemas of every
// document the project reads or writes, the default configuration, and a site to
// begin with.
//
// It has no logic. Package policy loads what is here; the same files can be
// read by the opa command.
package rego

import "embed"

// Library holds the rules under launch/ (tests beside them, which the engine
// leaves out) and launch/data.json, the default configuration.
//
//go:embed launch
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

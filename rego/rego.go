// Package rego embeds the policy library: the rules, the schemas of every
// document the project reads or writes, and the default configuration.
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

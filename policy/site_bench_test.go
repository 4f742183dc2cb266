package policy

import (
	"context"
	"testing"

	"github.com/spawnward/spawnward/spawner/admission"
)

func BenchmarkDecideDenyTwo(b *testing.B) {
	benchmarkDecide(b, func(in *admission.Input) { in.Binary.InsideRoot, in.Binary.Links = false, 2 })
}

// BenchmarkDecideAllowSite decides with a site as small as one can be that has
// configuration and a rule of its own.
func BenchmarkDecideAllowSite(b *testing.B) {
	e := loadPath(b, writeSite(b, files{
		"data.yaml": "config: {defaults: {versions: {allow_prerelease: false}}}\n",
		"site/data/team.rego": `package site.data

import rego.v2

# METADATA
# title: A database says who owns it
# custom:
#   code: site_team_label_missing
#   severity: medium
#   remediation: Add labels.team to the definition.
deny contains finding if {
	input.request.service == "database"
	not input.service.labels.team
	finding := {
		"code": "site_team_label_missing",
		"message": "The definition has no label team.",
		"evidence": {"labels": input.service.labels},
	}
}
`,
	}))
	in := goodInput()
	b.ReportAllocs()
	for b.Loop() {
		d, err := e.Decide(context.Background(), in)
		if err != nil || !d.Allow {
			b.Fatal(err, d.Violations)
		}
	}
}

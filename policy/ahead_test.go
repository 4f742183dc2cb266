package policy

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

const conflicting = `package site.net

import rego.v2

owner := 1 if input.request.service == "redis"

owner := 2 if input.request.version == "7.0.15"

deny contains {"code": "site_x", "message": "m"} if owner == 3
` + declaresX

// Who loads ahead is told of everything that is wrong with the files at once, and
// of what only the decision on the known launch shows by every decision, also by
// one that would be well formed.
func TestLoadAhead(t *testing.T) {
	ctx := context.Background()
	ahead := func(f files) (*Engine, error) {
		return Load(ctx, Options{Path: writeSite(t, f), Deadline: patience, Ahead: true})
	}
	misspelt := "package site.net\n\nimport rego.v2\n\ndeny contains {\"code\": \"site_x\", \"message\": \"m\"} if input.binary.siz > 1\n" + declaresX
	_, err := ahead(files{"site/net/net.rego": misspelt})
	require.ErrorContains(t, err, "siz")

	_, whole := loadSite(t, files{"site/net/net.rego": conflicting})
	require.ErrorContains(t, whole, "an ordinary launch")
	e, err := ahead(files{"site/net/net.rego": conflicting})
	require.NoError(t, err)
	for _, change := range []func(*admission.Input){
		func(*admission.Input) {},
		func(in *admission.Input) { in.Request.Service, in.Service.Name = "other", "other" },
		func(in *admission.Input) { in.Request.Service, in.Service.Name = "other", "wrong" },
	} {
		in := goodInput()
		change(in)
		for range 2 {
			d, err := e.Decide(ctx, in)
			require.Equal(t, whole.Error(), err.Error())
			require.Equal(t, admission.Decision{}, d)
			require.Equal(t, code.PolicyInvalid, err.(*Error).C)
		}
	}
	d, err := e.Decide(ctx, nil)
	require.Equal(t, whole.Error(), err.Error())
	require.False(t, d.Allow)
}

// A decision of what was loaded ahead is that of what was loaded to its end.
func TestDecideAhead(t *testing.T) {
	site := exampleFiles(t)
	site["site/net/net.rego"] = netRules
	path := writeSite(t, site)
	whole, err := Load(context.Background(), Options{Path: path, Deadline: patience})
	require.NoError(t, err)
	for name, change := range map[string]func(*admission.Input){
		"allowed":   func(in *admission.Input) { in.Request.Args = []string{} },
		"by a site": func(*admission.Input) {},
		"by both":   func(in *admission.Input) { in.Binary.InsideRoot = false },
	} {
		e, err := Load(context.Background(), Options{Path: path, Deadline: patience, Ahead: true})
		require.NoError(t, err)
		require.NotNil(t, e.known, name)
		in := goodInput()
		change(in)
		want, err := whole.Decide(context.Background(), in)
		require.NoError(t, err, name)
		got, err := e.Decide(context.Background(), in)
		require.NoError(t, err, name)
		want.DecisionID, got.DecisionID = "", ""
		require.Equal(t, want, got, name)
	}
}

// A resident process, which has a policy to fall back to, waits.
func TestManagerDoesNotLoadAhead(t *testing.T) {
	path := writeSite(t, files{"site/net/net.rego": conflicting})
	_, err := NewManager(context.Background(), Options{Path: path, Deadline: patience, Ahead: true})
	require.ErrorContains(t, err, "an ordinary launch")
}

package policy

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/admission"
)

func logged(t *testing.T, change func(*admission.Input)) []byte {
	t.Helper()
	in := goodInput()
	if change != nil {
		change(in)
	}
	text, err := json.Marshal(in)
	require.NoError(t, err)
	var m map[string]any
	require.NoError(t, json.Unmarshal(text, &m))
	for _, list := range []any{m["env"], m["env_facts"].(map[string]any)["foreign"]} {
		for _, v := range list.([]any) {
			delete(v.(map[string]any), "value")
		}
	}
	text, err = json.Marshal(m)
	require.NoError(t, err)
	return text
}

// A rule that looks at the value of a variable, in whatever way, cannot be
// replayed; one that does not, can.
func TestReplayKnowsWhatRulesRead(t *testing.T) {
	for body, replayable := range map[string]bool{
		// Names, origins, counts and everything else.
		`some v in input.env; v.name == "TZ"`:                                      true,
		`some v in input.env_facts.foreign; startswith(v.name, "T")`:               true,
		`count(input.env) > 0`:                                                     true,
		`input.env[0].name == "HOME"`:                                              true,
		`names := {v.name | some v in input.env}; "TZ" in names`:                   true,
		`some i; input.env[i].origin == "definition"`:                              true,
		`every v in input.env { v.name != "X" }`:                                   true,
		`_named("TZ")`:                                                             true,
		`input.binary.uid == 0`:                                                    true,
		`not _none; input.env_facts.bytes > 0`:                                     true,
		`input.request.service == "valkey"; some v in input.env; v.value == "UTC"`: true, // never reached
		`some v in input.env; v.value == "UTC"`:                                    false,
		`some v in input.env_facts.foreign; v.value != "x"`:                        false,
		`input.env[0].value`:                                                       false,
		`input.env[1]["value"] == "UTC"`:                                           false,
		`not input.env[0].value == "x"`:                                            false,
		`not "x" in {v.value | some v in input.env}`:                               false,
		`some v in input.env; some k, x in v; x == "UTC"`:                          false,
		`some v in input.env; object.get(v, "value", "") == "UTC"`:                 false,
		`some v in input.env; object.get(v, ["value"], "") == "UTC"`:               false,
		`some v in input.env; contains(json.marshal(v), "UTC")`:                    false,
		`walk(input.env, [_, x]); x == "UTC"`:                                      false,
		`{"name": "TZ", "value": "UTC", "origin": "definition"} in input.env`:      false,
		`some {"name": n, "value": x, "origin": o} in input.env; x == "UTC"`:       false,
		`e := input.env; e[_].value == "UTC"`:                                      false,
		`all := input; all.env[1].value == "UTC"`:                                  false,
		`key := "value"; input.env[1][key] == "UTC"`:                               false,
		`every v in input.env { v.value != "x" }`:                                  false,
		`_value("TZ") == "UTC"`:                                                    false,
		`_vars[_].value == "UTC"`:                                                  false,
		`_by_name.TZ.value == "UTC"`:                                               false,
		`_pick(input.env[1]) == "UTC"`:                                             false,
		`_destructure(input.env[1]) == "UTC"`:                                      false,
		`x := [v | some v in input.env; v.name == "TZ"]; x[0].value == "UTC"`:      false,
		`input.env == []`:                                                          false,
		`{"UTC": 1}[input.env[1].value]`:                                           false,
		`sprintf("%v", [input.env]) != ""`:                                         false,
		`({input.env[1]} | {1}) != set()`:                                          false,
		`input["env"][1]["value"] == "UTC"`:                                        false,
		`s := "env"; input[s][1].value == "UTC"`:                                   false,
		`some k; input[k][1].value == "UTC"`:                                       false,
	} {
		t.Run(body, func(t *testing.T) {
			rules := `package site.env

import rego.v2

# METADATA
# custom: {code: site_env}
deny contains {"code": "site_env", "message": "m", "evidence": {}} if {
	` + strings.ReplaceAll(body, "; ", "\n\t") + `
}
`
			for name, helper := range map[string]string{
				"_named(": "_named(n) if {\n\tsome v in input.env\n\tv.name == n\n}\n", "_none": "_none if count(input.env) == 0\n",
				"_value(": "_value(n) := v.value if {\n\tsome v in input.env\n\tv.name == n\n}\n",
				"_vars":   "_vars contains v if some v in input.env\n", "_by_name": "_by_name[v.name] := v if some v in input.env\n",
				"_pick(": "_pick(v) := v.value\n", "_destructure(": "_destructure({\"name\": _, \"value\": x, \"origin\": _}) := x\n",
			} {
				if strings.Contains(body, name) {
					rules += "\n" + helper
				}
			}
			e, err := loadSite(t, files{"site/env/env.rego": rules})
			require.NoError(t, err)
			_, err = e.Replay(context.Background(), logged(t, nil))
			if replayable {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, ErrNotReplayable)
			}
		})
	}
}

// The library reads no values: what it says of a masked input is what it said.
func TestLibraryIsReplayable(t *testing.T) {
	e, err := Load(context.Background(), Options{Deadline: patience})
	require.NoError(t, err)
	require.False(t, e.mayTouch())
	for _, change := range []func(*admission.Input){
		func(*admission.Input) {},
		func(in *admission.Input) {
			in.Binary.UID, in.Request.Version, in.Root.Broad = 55, "1.0.0", "system directory"
		},
		func(in *admission.Input) {
			in.EnvFacts.Invalid = []string{"A B"}
			in.EnvFacts.Foreign = []admission.EnvVar{{Name: "LD_PRELOAD", Value: "/x.so", Origin: admission.OriginDefinition}, {Name: "A", Value: "1", Origin: admission.OriginPass}}
			in.EnvFacts.LargestValue = 1 << 20
		},
		func(in *admission.Input) { *in = admission.Input{Env: in.Env, EnvFacts: in.EnvFacts} },
	} {
		in := goodInput()
		change(in)
		v, tr, err := e.traced(context.Background(), withStands(in))
		require.NoError(t, err)
		require.False(t, tr.touched)
		require.False(t, holds(v))
		before, err := e.Decide(context.Background(), in)
		require.NoError(t, err)
		again, err := e.Replay(context.Background(), logged(t, change))
		if in.Schema == 0 {
			continue // lists that are null in it
		}
		require.NoError(t, err)
		require.Equal(t, codesOf(before.Violations), codesOf(again.Violations))
	}
}

func TestReplayRefusesOtherInputs(t *testing.T) {
	e, err := Load(context.Background(), Options{Deadline: patience})
	require.NoError(t, err)
	good := string(logged(t, nil))
	for _, text := range []string{
		"", "[]", "null", "{}", strings.Replace(good, `"setuid":false,`, "", 1), strings.Replace(good, `"uid":0`, `"uid":"0"`, 1),
	} {
		_, err := e.Replay(context.Background(), []byte(text))
		require.ErrorIs(t, err, ErrNotReplayable, text)
	}
	_, err = e.Replay(context.Background(), []byte(strings.Replace(good, `"schema":1`, `"more":1,"schema":1`, 1)))
	require.NoError(t, err)
}

package main

import (
	"encoding/json"
	"strings"
	"testing"

	oparego "github.com/open-policy-agent/opa/v1/rego"
	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/rego"
	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/endpoint"
	"github.com/spawnward/spawnward/spawner/state"
)

func record(change func(r *state.Record)) *state.Record {
	id, sum := strings.Repeat("1", 32), strings.Repeat("5a", 32)
	at := endpoint.Endpoint{NamespaceID: "private:web", Path: "/run/rpb-v1-0123456789abcdef-be-" + id + ".sock"}
	r := &state.Record{
		Schema: 1, ID: id, Phase: state.Ready, Service: "web", Version: "1.0.0-rc.1", Instance: "private:web",
		DefinitionSHA256: sum, ObligationsSHA256: sum, Binary: state.Binary{Path: "/opt/web/bin", SHA256: sum, Device: 1, Inode: 2},
		Endpoint: at, Launcher: state.Launcher{PID: 10, StartTicks: 99}, PIDNamespace: 4026531836, Binding: admission.Verified,
		Probe: "peer", StartTicks: 12345,
		Identity: &state.Identity{PID: 11, ExePath: "/opt/web/bin", ExeSHA256: sum, Endpoint: at, StartedAtUnixMS: 1},
	}
	if change != nil {
		change(r)
	}
	return r
}

// What state writes is what the schema promises, and the schema refuses what is
// no record.
func TestRecordSchema(t *testing.T) {
	schema, err := rego.Schemas.ReadFile("schema/record.json")
	require.NoError(t, err)
	query, err := oparego.New(oparego.Query("[valid, why] := json.match_schema(input.document, input.schema)"), oparego.StrictBuiltinErrors(true)).PrepareForEval(t.Context())
	require.NoError(t, err)
	encoded := func(change func(r *state.Record)) string {
		data, err := json.Marshal(record(change))
		require.NoError(t, err)
		return string(data)
	}
	secs := int64(30)
	for name, c := range map[string]struct {
		document string
		valid    bool
	}{
		"ready":             {encoded(nil), true},
		"ready with a time": {encoded(func(r *state.Record) { r.Identity.IdleTimeoutSecs = &secs }), true},
		"starting":          {encoded(func(r *state.Record) { r.Phase = state.Starting }), true},
		"intent":            {encoded(func(r *state.Record) { r.Phase, r.StartTicks, r.Identity = state.Intent, 0, nil }), true},
		"another schema":    {encoded(func(r *state.Record) { r.Schema = 2 }), false},
		"another phase":     {encoded(func(r *state.Record) { r.Phase = "done" }), false},
		"short id":          {encoded(func(r *state.Record) { r.ID = "1" }), false},
		"no digest":         {encoded(func(r *state.Record) { r.Binary.SHA256 = "" }), false},
		"no binding":        {encoded(func(r *state.Record) { r.Binding = "" }), false},
		"no launcher":       {encoded(func(r *state.Record) { r.Launcher.PID = 0 }), false},
		"no pid":            {encoded(func(r *state.Record) { r.Identity.PID = 0 }), false},
		"relative path":     {encoded(func(r *state.Record) { r.Endpoint.Path = "x" }), false},
		"one field more":    {strings.Replace(encoded(nil), "{", `{"more":1,`, 1), false},
		"one field less":    {strings.Replace(encoded(nil), `"settle_ms":0,`, "", 1), false},
		"empty":             {"{}", false},
		"a list":            {"[]", false},
	} {
		t.Run(name, func(t *testing.T) {
			results, err := query.Eval(t.Context(), oparego.EvalInput(map[string]any{"document": json.RawMessage(c.document), "schema": json.RawMessage(schema)}))
			require.NoError(t, err)
			require.Len(t, results, 1)
			require.Equal(t, c.valid, results[0].Bindings["valid"], "%v", results[0].Bindings["why"])
		})
	}
	// Every field stands in the schema and every promised field is written.
	var fields map[string]any
	require.NoError(t, json.Unmarshal([]byte(encoded(nil)), &fields))
	var promised struct {
		Required   []string
		Properties map[string]any
	}
	require.NoError(t, json.Unmarshal(schema, &promised))
	require.Len(t, promised.Required, len(fields))
	require.Len(t, promised.Properties, len(fields))
	for _, name := range promised.Required {
		require.Contains(t, fields, name)
	}
}

package service

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/code"
)

// The .servicedef files in testdata were made by protoc from the .txtpb files
// beside them:
//
//	protoc --encode=running_process.broker.v1.ServiceDefinition spawner/wire/service.proto <golden.txtpb >golden.servicedef
func TestServiceDefGolden(t *testing.T) {
	data := readGolden(t, "golden.servicedef")
	d, err := Parse(data, ServiceDef)
	require.NoError(t, err)
	want := Defaults()
	want.ServiceName, want.BinaryPath, want.PerVersionBinaryDir = "redis", "/usr/bin/redis-server", "/usr/bin"
	want.Isolation, want.ExplicitInstance = ExplicitInstance, "blue"
	want.MinVersion, want.VersionAllowList = "7.0.0", []string{"7.0.15", "7.2.0-rc.1"}
	want.Labels = map[string]string{"team": "data", "tier": "größer"}
	want.Launch.Argv0 = "/usr/bin/redis-server"
	require.Equal(t, &want, d)
	again, err := Marshal(d, ServiceDef)
	require.NoError(t, err)
	require.Equal(t, data, again)
	require.Empty(t, Dropped(d))
}

func TestServiceDefMinimal(t *testing.T) {
	d, err := Parse(readGolden(t, "minimal.servicedef"), ServiceDef)
	require.NoError(t, err)
	want := Defaults()
	want.ServiceName = "tiny"
	require.Equal(t, &want, d)
}

func TestServiceDefRefuses(t *testing.T) {
	golden := string(readGolden(t, "golden.servicedef"))
	const name = "\x0a\x01a"
	for _, c := range []struct{ name, data, want string }{
		{"empty", "", "it is empty"},
		{"text", "service_name: redis\n", "no service definition in protobuf form"},
		{"truncated", golden[:len(golden)-3], "truncated (byte 89)"},
		{"truncated at once", "\x0a", "truncated (byte 0)"},
		{"huge length", "\x0a\xff\xff\xff\xff\x07", "truncated"},
		{"unknown field", name + "\x4a\x01x", "field 9, which this release does not know"},
		{"unknown big field", name + "\xf8\xff\xff\xff\x0f\x01", "field 536870911"},
		{"group", name + "\x0b\x0c", "wrong wire type"},
		{"wrong wire type", "\x08\x01", "service_name: it has the wrong wire type"},
		{"isolation as text", name + "\x1a\x01x", "isolation: it has the wrong wire type"},
		{"unknown isolation", name + "\x18\x03", "isolation: 3 is not an isolation"},
		{"not utf-8", name + "\x12\x01\xff", "binary_path: \"\\xff\" is not valid UTF-8"},
		{"label not utf-8", name + "\x42\x06\x0a\x01k\x12\x01\xff", "not valid UTF-8"},
		{"field twice", name + name, "service_name: it stands there twice"},
		{"label twice", name + "\x42\x03\x0a\x01k\x42\x03\x0a\x01k", `labels: "k" stands there twice`},
		{"label with two names", name + "\x42\x06\x0a\x01k\x0a\x01l", "more than one name"},
		{"label with unknown part", name + "\x42\x06\x0a\x01k\x1a\x01l", "more than one name"},
		{"truncated label", name + "\x42\x02\x0a\x05", "truncated"},
		{"relative binary", name + "\x12\x01b", "binary_path"},
		{"NUL", name + "\x12\x03/\x00b", "NUL byte"},
		{"bad version", name + "\x32\x011", "min_version"},
		{"oversized", name + string(make([]byte, MaxBytes)), "larger than 1048576"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse([]byte(c.data), ServiceDef)
			require.ErrorContains(t, err, c.want)
			got, _ := code.Of(err)
			require.Equal(t, code.ServiceInvalid, got)
		})
	}
}

package policy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/admission"
	"github.com/spawnward/spawnward/spawner/code"
)

type files map[string]string

// writeSite lays out a site's directory that nobody else can write.
func writeSite(t testing.TB, f files) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "site-policy")
	require.NoError(t, os.Mkdir(dir, 0o700))
	for name, text := range f {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}

func loadSite(t *testing.T, f files) (*Engine, error) {
	t.Helper()
	return Load(context.Background(), Options{Path: writeSite(t, f)})
}

func decide(t *testing.T, f files, change func(*admission.Input)) (admission.Decision, error) {
	t.Helper()
	e, err := loadSite(t, f)
	require.NoError(t, err)
	in := goodInput()
	if change != nil {
		change(in)
	}
	d, err := e.Decide(context.Background(), in)
	e.plain = true
	again, errAgain := e.Decide(context.Background(), in)
	require.Equal(t, err == nil, errAgain == nil, "with indexing and early exit off")
	again.DecisionID = d.DecisionID
	require.Equal(t, d, again, "with indexing and early exit off")
	return d, err
}

func codesOf(f []admission.Finding) []code.Code {
	out := []code.Code{}
	for _, v := range f {
		out = append(out, v.Code)
	}
	return out
}

const netRules = `package site.net

import rego.v2

# METADATA
# title: No port 0
# custom:
#   code: site_no_port
#   severity: critical
#   waivable: false
#   remediation: Leave --port out.
deny contains {"code": "site_no_port", "message": "port", "evidence": {"args": input.request.args}} if "--port" in input.request.args

# METADATA
# custom: {code: site_owner}
warn contains {"code": "site_owner", "message": "tell us"} if input.caller.uid == 1000

grant contains "change_ticket" if input.service.labels.ticket
`

// declaresX declares the code site_x.
const declaresX = `
# METADATA
# custom: {code: site_x}
warn contains {"code": "site_x", "message": "m"} if input.caller.uid == -1
`

func TestSiteRulesTakePart(t *testing.T) {
	site := files{
		"site/net/net.rego":      netRules,
		"site/net/net_test.rego": "package broken because tests are left out",
		"README.md":              "words",
		".manifest":              `{"revision": "r7", "roots": ["site", "config"], "metadata": {"sequence": 12}}`,
		"data.yaml":              "config:\n  require_grants: [change_ticket]\n  services:\n    redis: {env: {set: {TZ: UTC}}, binary: {max_bytes: 2000000}}\n",
	}
	d, err := decide(t, site, nil)
	require.NoError(t, err)
	require.False(t, d.Allow)
	require.Equal(t, []code.Code{code.GrantMissing, "site_no_port"}, codesOf(d.Violations))
	require.Equal(t, []code.Code{"site_owner"}, codesOf(d.Warnings))
	require.Equal(t, "critical", d.Violations[1].Severity)
	require.Equal(t, "Leave --port out.", d.Violations[1].Remediation)
	require.Equal(t, "site.net", d.Violations[1].Rule)
	require.Equal(t, map[string]any{"args": []any{"--port", "0"}}, d.Violations[1].Evidence)
	require.Equal(t, "medium", d.Warnings[0].Severity)
	require.Equal(t, int64(12), d.Policy.Sequence)
	require.Equal(t, "r7", d.Policy.Revision)
	require.Len(t, d.DecisionID, 32)

	d, err = decide(t, site, func(in *admission.Input) {
		in.Request.Args = []string{}
		in.Service.Labels["ticket"] = "C-1"
	})
	require.NoError(t, err)
	require.True(t, d.Allow)
	require.Equal(t, []string{"change_ticket", "ownership", "placement", "version"}, d.Grants)

	e, err := loadSite(t, site)
	require.NoError(t, err)
	require.Equal(t, admission.Settings{Mode: "enforce", Env: map[string]string{"TZ": "UTC"}, MaxBinaryBytes: 2000000, MaxSealedBytes: 268435456, Binding: admission.Verified, Log: admission.LogSettings{MaxBytes: 64 << 20}}, e.Settings("redis"))
	require.Equal(t, admission.Settings{Mode: "enforce", Env: map[string]string{}, MaxBinaryBytes: 4294967296, MaxSealedBytes: 268435456, Binding: admission.Verified, Log: admission.LogSettings{MaxBytes: 64 << 20}}, e.Settings("unheard-of"))
}

func TestParentIsMeasuredOnlyForRulesThatReadIt(t *testing.T) {
	rule := `package site.net

import rego.v2

deny contains {"code": "site_x", "message": "m"} if %s == "x"
` + declaresX
	for ref, want := range map[string]bool{
		"input.caller.parent.sha256": true, "input.caller.parent[_]": true, "input.caller.user": false, "input.binary.sha256": false,
	} {
		e, err := loadSite(t, files{"site/net/net.rego": fmt.Sprintf(rule, ref)})
		require.NoError(t, err)
		require.Equal(t, want, e.Settings("redis").WantParent, ref)
	}
}

func TestIDCoversEverything(t *testing.T) {
	base := files{"site/net/net.rego": netRules, "data.yaml": "config: {}\n"}
	e, err := loadSite(t, base)
	require.NoError(t, err)
	same, err := loadSite(t, base)
	require.NoError(t, err)
	require.Equal(t, e.ID(), same.ID())
	embedded, err := Load(context.Background(), Options{Deadline: patience})
	require.NoError(t, err)
	require.NotEqual(t, e.ID(), embedded.ID())
	for name, text := range base {
		changed := files{"site/net/net.rego": netRules, "data.yaml": "config: {}\n"}
		changed[name] = text + "\n"
		other, err := loadSite(t, changed)
		require.NoError(t, err)
		require.NotEqual(t, e.ID().ID, other.ID().ID, name)
	}
}

func TestHostileSitesDoNotLoad(t *testing.T) {
	rule := func(body string) files {
		return files{"site/net/net.rego": "package site.net\n\nimport rego.v2\n\n" + body + "\n"}
	}
	deny := func(condition string) files {
		return rule(`deny contains {"code": "site_x", "message": "m"} if ` + condition)
	}
	data := func(text string) files { return files{"data.yaml": text} }
	for name, c := range map[string]struct {
		site files
		want []string
	}{
		"allow in the library's package": {files{"site/a/a.rego": "package launch.main\n\nallow := true"}, []string{"site/a/a.rego:1", "site.<area>"}},
		"decision replaced":              {files{"site/a/a.rego": "package launch.main\n\ndecision := {\"allow\": true}"}, []string{"site.<area>"}},
		"package launch":                 {files{"site/a/a.rego": "package launch.rules.file\n\ndeny contains 1 if false"}, []string{"site.<area>"}},
		"package too deep":               {files{"site/a/a.rego": "package site.a.b\n\nx := 1"}, []string{"site.<area>"}},
		"package site itself":            {files{"site/a/a.rego": "package site\n\nnet := {\"grant\": [\"placement\"]}"}, []string{"site.<area>"}},
		"rules outside site/":            {files{"other/a.rego": "package site.a"}, []string{"other/a.rego", "site/<area>/"}},
		"denny":                          {rule("denny contains 1 if input.caller.uid == 0"), []string{"site/net/net.rego:5", "denny", `did you mean "deny"`}},
		"helper nobody uses":             {rule("_helper if input.caller.uid == 0"), []string{"net.rego:5", "nothing uses"}},
		"boolean deny":                   {rule("deny if input.caller.uid == 0"), []string{"net.rego:5", "must be a set"}},
		"complete deny":                  {rule("deny := {1}"), []string{"net.rego:5", "must be a set"}},
		"default deny":                   {rule("default deny := false"), []string{"net.rego:5", "must be a set"}},
		"nested deny":                    {rule("deny.all contains 1 if input.caller.uid == 0"), []string{"net.rego:5", "must be a set"}},
		"object deny":                    {rule(`deny["x"] := 1`), []string{"net.rego:5", "must be a set"}},
		"function deny":                  {rule(`deny(x) := x`), []string{"net.rego:5", "must be a set"}},
		"http.send":                      {deny(`http.send({"method": "get", "url": "http://127.0.0.1"}).status_code == 200`), []string{"net.rego:5", "http.send"}},
		"time.now_ns":                    {deny("time.now_ns() > 0"), []string{"net.rego:5", "time.now_ns"}},
		"rand.intn":                      {deny(`rand.intn("x", 2) == 0`), []string{"rand.intn"}},
		"uuid":                           {deny(`uuid.rfc4122("x") == ""`), []string{"uuid.rfc4122"}},
		"opa.runtime":                    {deny("opa.runtime().env.HOME"), []string{"opa.runtime"}},
		"net.lookup_ip_addr":             {deny(`net.lookup_ip_addr("x")`), []string{"net.lookup_ip_addr"}},
		"with":                           {deny(`data.launch.lib.facts.binary with input as {}`), []string{"net.rego:5", "'with'"}},
		"input misspelt":                 {deny("input.binary.siz > 1"), []string{"net.rego:5", "siz"}},
		"configuration misspelt":         {deny("data.config.defaults.binary.maxbytes > 1"), []string{"net.rego:5", "maxbytes"}},
		"data that is not there":         {deny("data.sites.other.deny"), []string{"net.rego:5", "data.sites"}},
		"rule that is not there":         {deny("data.site.other.allowed"), []string{"net.rego:5", "data.site.other"}},
		"unsafe variable":                {deny("x == 1"), []string{"net.rego:5", "unsafe"}},
		"unused variable":                {deny("x := 1"), []string{"net.rego:5"}},
		"recursion through the library":  {deny("data.launch.main.decision.allow"), []string{"recursive"}},
		"own schemas":                    {rule("# METADATA\n# schemas:\n#   - input: {type: object}\ndeny contains {\"code\": \"site_x\"} if input.caller.uid == 0"), []string{"schemas"}},
		"code not declared":              {deny("input.caller.uid == 0"), []string{"net.rego:5", "no rule of the site declares the code site_x"}},
		"code misspelt":                  {rule("# METADATA\n# custom: {code: site_xyz}\ndeny contains {\"code\": \"site_xzy\", \"message\": \"m\"} if input.caller.uid == 0"), []string{"net.rego:7", `did you mean "site_xyz"`}},
		"library's code":                 {rule("deny contains {\"code\": \"digest_denied\", \"message\": \"m\"} if input.caller.uid == 0"), []string{"net.rego:5", "site_[a-z0-9_]+"}},
		"library code declared":          {rule("# METADATA\n# custom:\n#   code: digest_denied\ndeny contains 1 if input.caller.uid == 0"), []string{"net.rego:5", "site_"}},
		"custom misspelt":                {rule("# METADATA\n# custom:\n#   code: site_x\n#   severty: low\ndeny contains 1 if input.caller.uid == 0"), []string{"net.rego:5", `did you mean "severity"`}},
		"empty module":                   {files{"site/a/a.rego": ""}, []string{"site/a/a.rego"}},
		"broken module":                  {files{"site/a/a.rego": "package site.a\n\ndeny contains"}, []string{"site/a/a.rego:3"}},
		"unknown key":                    {data("config:\n  defaults:\n    enforcment: {}\n"), []string{"data.yaml:3", "config.defaults.enforcment", `did you mean "enforcement"`}},
		"unknown top key":                {data("confg: {}\n"), []string{"data.yaml:1", `did you mean "config"`}},
		"array for an object":            {data("config:\n  defaults:\n    digests: {allow: [" + strings.Repeat("a", 64) + "]}\n"), []string{"data.yaml:3", "keys"}},
		"bad digest":                     {data("config: {defaults: {digests: {deny: {abc: {}}}}}\n"), []string{"data.yaml:1", "abc"}},
		"bad mode":                       {data("config: {mode: enfroce}\n"), []string{`did you mean "enforce"`}},
		"repeated key":                   {data("config: {}\nconfig: {}\n"), []string{"data.yaml", "config"}},
		"alias":                          {data("config: &a {}\nwaivers: *a\n"), []string{"aliases"}},
		"two documents":                  {data("config: {}\n---\nconfig: {}\n"), []string{"more than one"}},
		"not UTF-8":                      {data("config: \xff"), []string{"UTF-8"}},
		"data that rules would own":      {data("launch: {main: {decision: {allow: true}}}\n"), []string{"data.yaml:1", "launch"}},
		"two data files":                 {files{"data.yaml": "{}", "data.json": "{}"}, []string{"keep one"}},
		"data elsewhere":                 {files{"site/net/data.json": "{}"}, []string{"site/net/data.json"}},
		"mandatory level":                {data("config: {defaults: {enforcement: {digest_denied: warn}}}\n"), []string{"digest_denied", "mandatory"}},
		"unknown level":                  {data("config: {services: {redis: {enforcement: {binary_hardlinks: warn}}}}\n"), []string{`did you mean "binary_hard_links"`}},
		"mandatory waiver":               {data("waivers: {W: {code: digest_denied, service: redis, expires: 2099-01-01T00:00:00Z, approver: a, reason: r}}\n"), []string{"W.code", "mandatory"}},
		"unknown waiver code":            {data("waivers: {W: {code: binary_hardlinks, service: redis, expires: 2099-01-01T00:00:00Z, approver: a, reason: r}}\n"), []string{`did you mean "binary_hard_links"`}},
		"waiver without a date":          {data("waivers: {W: {code: binary_hard_links, service: redis, expires: soon, approver: a, reason: r}}\n"), []string{"W.expires"}},
		"waiver without a reason":        {data("waivers: {W: {code: binary_hard_links, service: redis, expires: 2099-01-01T00:00:00Z, approver: a}}\n"), []string{"reason"}},
		"waiver that nobody approved":    {data("waivers: {W: {code: binary_hard_links, service: redis, expires: 2099-01-01T00:00:00Z, approver: \" \", reason: r}}\n"), []string{"W.approver", "empty"}},
		"waiver with an empty reason":    {data("waivers: {W: {code: binary_hard_links, service: redis, expires: 2099-01-01T00:00:00Z, approver: a, reason: \"\"}}\n"), []string{"W.reason", "empty"}},
		"tag of a mapping":               {data("config: !local {mode: monitor}\n"), []string{"data.yaml:1", "!local"}},
		"set in YAML":                    {data("config: !!set {mode: monitor}\n"), []string{"data.yaml:1", "!!set"}},
		"tag of a list":                  {data("config: {require_grants: !x [a]}\n"), []string{"data.yaml:1", "!x"}},
		"data in other letters":          {files{"Data.yaml": "config: {mode: enforce}\n"}, []string{"Data.yaml", "data.yaml or data.json"}},
		"part of data in its own file":   {files{"config.yaml": "mode: enforce\n"}, []string{"config.yaml", "data.yaml or data.json"}},
		"rules in other letters":         {files{"site/net/net.REGO": "package site.net\n"}, []string{"site/net/net.REGO", ".rego"}},
		"nothing at all":                 {files{"README.md": "the policy is mounted here\n"}, []string{"holds no policy"}},
		"manifest roots":                 {files{".manifest": `{"roots": ["launch"]}`}, []string{".manifest", "launch"}},
		"manifest expired":               {files{".manifest": `{"metadata": {"not_after": "2020-01-01T00:00:00Z"}}`}, []string{".manifest", "2020"}},
		"manifest unknown key":           {files{".manifest": `{"revison": "1"}`}, []string{".manifest"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadSite(t, c.site)
			require.Error(t, err)
			got, ok := code.Of(err)
			require.True(t, ok)
			require.Equal(t, code.PolicyInvalid, got)
			_, ahead := Load(context.Background(), Options{Path: writeSite(t, c.site), Deadline: patience, Ahead: true})
			require.Error(t, ahead)
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

func TestNotWaivableSiteCode(t *testing.T) {
	_, err := loadSite(t, files{
		"site/net/net.rego": netRules,
		"data.yaml":         "waivers: {W: {code: site_no_port, service: redis, expires: 2099-01-01T00:00:00Z, approver: a, reason: r}}\n",
	})
	require.ErrorContains(t, err, "waivable: false")
}

func TestWaivers(t *testing.T) {
	site := func(expires string) files {
		return files{"data.yaml": "waivers:\n  W-1: {code: binary_hard_links, service: redis, expires: " + expires + ", approver: a, reason: r}\n"}
	}
	links := func(in *admission.Input) { in.Binary.Links = 2 }
	d, err := decide(t, site("2099-01-01T00:00:00Z"), links)
	require.NoError(t, err)
	require.True(t, d.Allow)
	require.Equal(t, []admission.Waived{{Code: code.BinaryHardLinks, Waiver: "W-1", Expires: "2099-01-01T00:00:00Z"}}, d.Waived)

	d, err = decide(t, site("2020-01-01T00:00:00Z"), links)
	require.NoError(t, err)
	require.False(t, d.Allow)
	require.Equal(t, []code.Code{code.BinaryHardLinks}, codesOf(d.Violations))
	require.Equal(t, []code.Code{code.WaiverExpired}, codesOf(d.Warnings))
}

func TestDenyListsAreUnions(t *testing.T) {
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	site := files{"data.json": `{"config": {"defaults": {"digests": {"deny": {"` + a + `": {"reason": "leaked"}}}, "env": {"deny": ["X_*"]}},
		"services": {"redis": {"digests": {"deny": {"` + b + `": {}}, "allow": {"` + a + `": {}}}, "env": {"deny": [], "allow": ["TZ"]}}}}}`}
	d, err := decide(t, site, func(in *admission.Input) {
		in.EnvFacts.Foreign = []admission.EnvVar{
			{Name: "X_1", Origin: admission.OriginDefinition}, {Name: "LD_PRELOAD", Origin: admission.OriginDefinition},
			{Name: "TZ", Origin: admission.OriginPass},
		}
	})
	require.NoError(t, err)
	require.Equal(t, []code.Code{code.DigestDenied, code.EnvNameForbidden, code.EnvNameForbidden}, codesOf(d.Violations))
	require.Contains(t, d.Violations[0].Message, "leaked")
}

func TestFailingSiteRules(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want code.Code
		text string
	}{
		"conflict":        {"_a := 1 if input.caller.uid == 1000\n_a := 2 if input.caller.gid == 1000\ndeny contains {\"code\": \"site_x\", \"message\": \"m\"} if _a == 1", code.PolicyConflict, "site/net/net.rego:5"},
		"built-in error":  {`deny contains {"code": "site_x", "message": "m"} if { input.caller.uid == 1000; to_number(input.request.service) == 1 }`, code.PolicyFailed, "site/net/net.rego:5"},
		"no object":       {`deny contains "bare text" if input.caller.uid == 1000`, code.PolicyFailed, "site.net"},
		"library code":    {`deny contains {"code": concat("", ["digest_denied"]), "message": "m"} if input.caller.uid == 1000`, code.PolicyFailed, "site.net"},
		"code of no form": {`deny contains {"code": concat("", ["Bad"]), "message": "m"} if input.caller.uid == 1000`, code.PolicyFailed, "site.net"},
		"library warning": {`warn contains {"code": concat("", ["digest_denied"]), "message": "m"} if input.caller.uid == 1000`, code.PolicyFailed, "site.net"},
		"grant no text":   {`grant contains 7 if input.caller.uid == 1000`, code.PolicyFailed, "grants"},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := decide(t, files{"site/net/net.rego": "package site.net\n\nimport rego.v2\n\n" + c.body + "\n" + declaresX}, nil)
			require.Error(t, err)
			got, _ := code.Of(err)
			require.Equal(t, c.want, got, "%v", err)
			require.ErrorContains(t, err, c.text)
			require.False(t, d.Allow)
		})
	}
}

func TestTimeout(t *testing.T) {
	dir := writeSite(t, files{"site/net/net.rego": `package site.net

import rego.v2

deny contains {"code": "site_x", "message": "m"} if {
	input.caller.uid == 1000
	some a in numbers.range(1, 100000)
	some b in numbers.range(1, 100000)
	a * b == -1
}
` + declaresX})
	e, err := Load(context.Background(), Options{Path: dir, Deadline: 20 * time.Millisecond})
	require.NoError(t, err)
	d, err := e.Decide(context.Background(), goodInput())
	got, _ := code.Of(err)
	require.Equal(t, code.PolicyTimeout, got, "%v", err)
	require.False(t, d.Allow)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = e.Decide(ctx, goodInput())
	require.ErrorIs(t, err, context.Canceled)
}

func TestRuleInATestFileIsFound(t *testing.T) {
	text := "package site.load\n\nimport rego.v2\n\ndeny contains {\"code\": \"site_x\", \"message\": \"m\"} if input.caller.uid == 0\n" + declaresX
	dir := writeSite(t, files{"data.yaml": "config: {}\n", "site/load/load_test.rego": text})
	_, err := Inspect(context.Background(), dir, nil)
	require.ErrorContains(t, err, "site/load/load_test.rego:5: deny decides nothing")
	_, err = Pack(context.Background(), dir, PackOptions{Sequence: 1})
	require.ErrorContains(t, err, "deny decides nothing")
}

// stuck stands for a function that does not look at the deadline.
type stuck struct{ until <-chan struct{} }

func (stuck) Enabled() bool                { return true }
func (stuck) Config() topdown.TraceConfig  { return topdown.TraceConfig{} }
func (s stuck) TraceEvent(e topdown.Event) { <-s.until }

func TestEvaluationThatDoesNotLookAtTheDeadline(t *testing.T) {
	e, err := loadSite(t, files{"site/net/net.rego": "package site.net\n\nimport rego.v2\n\n" +
		"deny contains {\"code\": \"site_x\", \"message\": \"m\"} if input.caller.uid == 1000\n" + declaresX})
	require.NoError(t, err)
	until := make(chan struct{})
	t.Cleanup(func() { close(until) })
	late := *e
	late.deadline, late.tracer = 5*time.Millisecond, stuck{until}
	d, err := late.Decide(context.Background(), goodInput())
	got, _ := code.Of(err)
	require.Equal(t, code.PolicyTimeout, got, "%v", err)
	require.False(t, d.Allow)

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = late.Decide(ctx, goodInput())
	require.ErrorIs(t, err, context.Canceled)
}

// Both take hours and gigabytes for a line of Rego, in one call.
func TestFunctionsWithoutBoundAreNotAllowed(t *testing.T) {
	for _, call := range []string{"bits.lsh(1, 4000000000) == 1", "product([2 | some _ in numbers.range(1, 9)]) == 1"} {
		_, err := loadSite(t, files{"site/net/net.rego": "package site.net\n\nimport rego.v2\n\n" +
			"deny contains {\"code\": \"site_x\", \"message\": \"m\"} if " + call + "\n" + declaresX})
		require.ErrorContains(t, err, "undefined function", call)
	}
}

func TestMode(t *testing.T) {
	dir := writeSite(t, files{"data.yaml": "config: {mode: monitor}\n"})
	for _, c := range []struct{ option, launcher, want string }{
		{"", "monitor", "monitor"}, {"", "enforce", "enforce"}, {"enforce", "monitor", "enforce"}, {"monitor", "monitor", "monitor"},
	} {
		e, err := Load(context.Background(), Options{Path: dir, Mode: c.option, Deadline: patience})
		require.NoError(t, err)
		in := goodInput()
		in.Launcher.Mode = c.launcher
		in.Binary.InsideRoot = false
		d, err := e.Decide(context.Background(), in)
		require.NoError(t, err)
		require.Equal(t, c.want, d.Mode)
		require.False(t, d.Allow)
	}
	_, err := Load(context.Background(), Options{Path: dir, Mode: "off"})
	require.Error(t, err)
}

func TestWhoMayWriteASite(t *testing.T) {
	for name, change := range map[string]func(dir string) error{
		"directory":       func(dir string) error { return os.Chmod(dir, 0o777) },
		"file":            func(dir string) error { return os.Chmod(filepath.Join(dir, "data.yaml"), 0o666) },
		"directory below": func(dir string) error { return os.Chmod(filepath.Join(dir, "site/net"), 0o777) },
		"directory above": func(dir string) error { return os.Chmod(filepath.Dir(dir), 0o777) },
		"link": func(dir string) error {
			return os.Symlink("/etc/hostname", filepath.Join(dir, "site/net/x.rego"))
		},
		"link to a directory": func(dir string) error { return os.Symlink("/etc", filepath.Join(dir, "site/more")) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := writeSite(t, files{"data.yaml": "config: {}\n", "site/net/net.rego": netRules})
			require.NoError(t, change(dir))
			_, err := Load(context.Background(), Options{Path: dir, Deadline: patience})
			got, _ := code.Of(err)
			require.Equal(t, code.PolicyInvalid, got, "%v", err)
		})
	}
	_, err := Load(context.Background(), Options{Path: filepath.Join(t.TempDir(), "missing")})
	require.Error(t, err)
}

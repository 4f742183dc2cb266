package policy

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/policy/internal/sources"
)

// readers are bodies of rules, with what they can see of the settings.
func readers() map[string]int {
	return map[string]int{
		`input.binary.sha256 != ""`:                                                               readsNothing,
		`data.config.mode == "enforce"`:                                                           readsOwn,
		`data.config.log.max_bytes > 0`:                                                           readsOwn,
		`data.config.defaults.binary.max_bytes > 0`:                                               readsOwn,
		`not data.config.services[input.request.service].binary.allow_setuid`:                     readsOwn,
		`data.config.defaults.digests.require_listed`:                                             readsOwn,
		`data.catalog[input.binary.sha256].version == "7.0.15"`:                                   readsOwn,
		`data.catalog[bin.sha256].version == "7.0.15"`:                                            readsOwn,
		`known[input.binary.sha256].service == "redis"`:                                           readsOwn,
		`not known[bin.sha256]`:                                                                   readsOwn,
		`data.config.defaults.digests.deny[input.binary.sha256].reason != "x"`:                    readsOwn,
		`data.config.services[name].digests.allow[input.binary.sha256]` + "\n\tname != \"other\"": readsOwn,
		`data.launch.lib.config.effective.digests.allow[input.binary.sha256]`:                     readsOwn,
		`lib.effective.digests.deny[bin.sha256]`:                                                  readsOwn,
		`count(lib.effective.roots.allowed) == 0`:                                                 readsOwn,
		`$"{data.config.mode}" == "enforce"`:                                                      readsOwn,
		`count(data.catalog) > 3`:                                                                 readsAll,
		`count(known) > 3`:                                                                        readsAll,
		`known[_].service == "redis"`:                                                             readsAll,
		`some digest, _ in known` + "\n\tdigest > \"8\"":                                          readsAll,
		"x := known\n\tx[input.binary.sha256].service == \"redis\"":                               readsAll,
		`data.catalog[input.script.sha256]`:                                                       readsAll,
		"d := input.binary.sha256\n\tdata.catalog[d]":                                             readsAll,
		`count(data.config.defaults.digests.deny) > 3`:                                            readsAll,
		"key := \"allow\"\n\tcount(data.config.defaults.digests[key]) > 3":                        readsAll,
		`count(data.config[section].digests.allow) > 3` + "\n\tsection == \"defaults\"":           readsAll,
		"x := data.config.defaults\n\tcount(x.digests.allow) > 3":                                 readsAll,
		"x := data.config\n\tx.mode == \"enforce\"":                                               readsAll,
		"x := data.config.services[input.request.service]\n\tcount(x.digests.allow) > 3":          readsAll,
		"some s in data.config.services\n\tcount(s.digests.allow) > 3":                            readsAll,
		"x := lib.effective\n\tcount(x.digests.allow) > 3":                                        readsAll,
		"x := lib\n\tcount(x.effective.digests.allow) > 3":                                        readsAll,
		`count(lib.effective.digests.allow) > 3`:                                                  readsAll,
		`$"{count(data.catalog)}" != "3"`:                                                         readsAll,
		`count([1 | known[_].service == "redis"]) > 2`:                                            readsAll,
		`every e in known { e.service != "none" }`:                                                readsAll,
		`startswith(data.catalog[data.catalog[input.binary.sha256].service].version, "7")`:        readsAll,
		`not data.config.defaults.digests.allow["` + listedDigest(3) + `"]`:                       readsAll,
		`object.get(data.config, ["defaults", "digests", "allow", input.binary.sha256], 1) != 1`:  readsAll,
	}
}

func readerRule(body string) string {
	imports := ""
	for name, path := range map[string]string{"known": "data.catalog as known", "bin.": "input.binary as bin", "lib": "data.launch.lib.config as lib"} {
		if strings.Contains(strings.ReplaceAll(strings.ReplaceAll(body, "launch.lib", ""), "lib.config", ""), name) {
			imports += "import " + path + "\n"
		}
	}
	return "package site.reads\n\nimport rego.v2\n" + imports + "\n# METADATA\n# title: t\n# custom: {code: site_x, severity: low}\n" +
		"deny contains {\"code\": \"site_x\", \"message\": \"m\"} if {\n\t" + body + "\n}\n"
}

// What rules see is enough for them: they decide as they do with everything.
func TestRulesSeeWhatTheyRead(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for body, want := range readers() {
		t.Run(body, func(t *testing.T) {
			m, err := sources.Parse(sources.File{Name: "x", Text: []byte(readerRule(body))}, sources.Capabilities())
			require.NoError(t, err)
			require.Equal(t, want, settingsRead(m))
			for range 2 {
				dir := writeSite(t, files{"data.json": textOf(t, lists(r, 30)), "site/reads/reads.rego": readerRule(body)})
				for _, path := range []string{dir, indexedFile(t, dir)} {
					e := loadPath(t, path)
					whole := *e
					whole.settings = newSettings(e.config, e.catalog, e.settings.launch, readsAll)
					for n := range 30 {
						in := goodInput()
						in.Request.Service = []string{"redis", "other", "third"}[n%3]
						in.Service.Name, in.Request.Instance = in.Request.Service, "private:"+in.Request.Service
						in.Binary.SHA256 = listedDigest(n)
						require.Equal(t, decided(t, &whole, in), decided(t, e, in))
					}
				}
			}
		})
	}
}

// No part of the library that sites may refer to sees a list but for the binary's
// digest.
func TestLibrarySeesNoLists(t *testing.T) {
	all, err := sources.Files()
	require.NoError(t, err)
	seen := 0
	for _, f := range sources.Rules(all) {
		if !strings.HasPrefix(f.Name, "launch/lib/") || f.Name == "launch/lib/config.rego" {
			continue
		}
		m, err := sources.Parse(f, sources.Capabilities())
		require.NoError(t, err)
		require.LessOrEqual(t, settingsRead(m), readsOwn, f.Name)
		seen++
	}
	require.Greater(t, seen, 3)
}

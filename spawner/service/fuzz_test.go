package service

import "testing"

func FuzzYAML(f *testing.F) {
	f.Add(readGolden(f, "redis.yaml"))
	f.Add(readGolden(f, "redis-written.yaml"))
	for _, c := range badTexts {
		if c.format == "yaml" && len(c.text) < 10000 {
			f.Add([]byte(c.text))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) { fuzzParse(t, data, YAML) })
}

func FuzzJSON(f *testing.F) {
	d, err := Parse(readGolden(f, "redis.yaml"), YAML)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(Canonical(d))
	for _, c := range badTexts {
		if c.format == "json" && len(c.text) < 10000 {
			f.Add([]byte(c.text))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) { fuzzParse(t, data, JSON) })
}

func FuzzServiceDef(f *testing.F) {
	f.Add(readGolden(f, "golden.servicedef"))
	f.Add(readGolden(f, "minimal.servicedef"))
	f.Fuzz(func(t *testing.T, data []byte) { fuzzParse(t, data, ServiceDef) })
}

// fuzzParse: what is accepted is valid, and means the same when it was written
// and read again.
func fuzzParse(t *testing.T, data []byte, format Format) {
	d, err := Parse(data, format)
	if err != nil {
		return
	}
	if err := d.Validate(); err != nil {
		t.Fatalf("accepted, but not valid: %v", err)
	}
	if n, atMost := len(Canonical(d)), (validator{ps: new(problems)}).texts(d); n > atMost {
		t.Fatalf("%d bytes in canonical form, and at most %d were expected", n, atMost)
	}
	requireRoundTrip(t, d)
}

func FuzzExpand(f *testing.F) {
	f.Add("a${endpoint}$$${service}")
	f.Add("${")
	f.Fuzz(func(t *testing.T, s string) {
		_, err := Expand(s, vars())
		if (err == nil) != (checkNames(s) == nil) {
			t.Fatalf("checked and expanded differently: %q: %v", s, err)
		}
	})
}

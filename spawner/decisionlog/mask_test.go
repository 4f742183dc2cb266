package decisionlog

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/spawnward/spawnward/spawner/admission"
)

// A rule that writes sprintf("%v", [input.env]) or json.marshal(input.env) into a
// finding escapes the values.
func TestMaskingKnowsEscapedValues(t *testing.T) {
	for _, value := range []string{`pass"word`, `back\slash`, "two\nlines", "tab\tand\x01control", "<html>&more", "ünïcödé", "plain", `"quoted"`} {
		m := newMasker([]admission.EnvVar{{Name: "SECRET", Value: value}})
		marshalled, err := json.Marshal([]string{value})
		require.NoError(t, err)
		for _, text := range []string{value, string(marshalled), fmt.Sprintf("%q", value), fmt.Sprintf("%+q", value)} {
			require.Contains(t, m.text("it is "+text), replacement, "%q in %s", value, text)
			require.NotContains(t, m.text(text), value)
			require.Regexp(t, `^it is \[?"?\[masked\]"?\]?$`, m.text("it is "+text), "%q in %s", value, text)
		}
	}
}

package policy

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEmbeddedAllows(t *testing.T) {
	e, err := Load(context.Background(), Options{})
	require.NoError(t, err)
	d, err := e.Decide(context.Background(), goodInput())
	require.NoError(t, err)
	require.True(t, d.Allow, "%+v", d)
}

// Package handshake is what both ends of the plugin agree on.
package handshake

import "github.com/hashicorp/go-plugin"

// Config is no secret: go-plugin uses it to tell a plugin from a program that
// somebody started by hand.
var Config = plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "COMPARE_PLUGIN", MagicCookieValue: "started by compare"}

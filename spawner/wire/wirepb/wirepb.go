// Package wirepb has every message of version 1 of the broker protocol, as protoc
// makes it from the .proto files here, for programs that speak more of it than a
// launch does. Package wire has the messages of a launch with a reader and writer
// of their own, which its tests compare with these; nothing in this module needs
// this package otherwise, because protobuf's runtime costs a third of a
// millisecond before main.
//
// The Go files are made from the .proto files beside them with
//
//	go generate ./spawner/wire/wirepb
//
// which needs protoc (3.21 or later) and takes its Go plugin from the module
// that go.mod names. The package behaves the same on every operating system.
package wirepb

//go:generate go build -o ../../../.cache/protoc-gen-go google.golang.org/protobuf/cmd/protoc-gen-go
//go:generate protoc --plugin=../../../.cache/protoc-gen-go --proto_path=../../.. --go_out=../../.. --go_opt=module=github.com/spawnward/spawnward spawner/wire/wirepb/frame.proto spawner/wire/wirepb/identity.proto spawner/wire/wirepb/service.proto spawner/wire/wirepb/hello.proto

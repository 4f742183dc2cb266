package backend_test

import (
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spawnward/spawnward/spawner/backend"
)

// A backend whose own protocol is HTTP: everything but the handler is here.
func Example() {
	listener, err := backend.Listen()
	if errors.Is(err, backend.ErrNotLaunched) {
		fmt.Println("start me through the broker")
		return
	}
	if err != nil {
		log.Print(err)
		os.Exit(1)
	}
	defer listener.Close()
	http.Serve(listener, http.NotFoundHandler())
	// Output: start me through the broker
}

// A server that speaks first holds back its greeting only for a moment.
func ExampleOptions() {
	listener, err := backend.Options{Patience: 20 * time.Millisecond}.Listen()
	if err != nil {
		fmt.Println("start me through the broker")
		return
	}
	defer listener.Close()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func(conn net.Conn) {
			defer conn.Close()
			fmt.Fprintln(conn, "220 ready")
		}(conn)
	}
	// Output: start me through the broker
}

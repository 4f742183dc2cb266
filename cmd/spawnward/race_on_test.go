//go:build race

package main

// raceDetector: everything takes some ten times as long, hooks in their workers
// too.
const raceDetector = true

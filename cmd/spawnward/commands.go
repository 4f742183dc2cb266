package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"github.com/spawnward/spawnward/conformance"
)

// commands are all there are, in the order in which help names them.
func (a *app) commands() []*command {
	return slices.Concat(a.launchCommands(), a.backendCommands(), a.siteCommands(), a.machineCommands(), a.hiddenCommands())
}

// launchCommands decide about a launch.
func (a *app) launchCommands() []*command {
	return []*command{
		{
			name: "demo", short: "show an allowed launch, a denial and a swapped binary in a private directory",
			example: "spawnward demo", text: true, run: a.demo,
		},
		{
			name: "launch", args: "SERVICE[@VERSION] [-- ARG...]", short: "start a backend through policy, or find it running, and print its verified handle",
			example: "spawnward launch redis@7.0.15\n  spawnward launch --binary /opt/app/bin/server --root /opt/app --probe peer app@1.0.0 -- --socket '${endpoint}'",
			flags:   a.waitFlags, run: a.launch, signals: fromTheDecision,
		},
		{
			name: "check", args: "SERVICE[@VERSION] [-- ARG...]", short: "decide as launch would, start nothing, and say why",
			example: "spawnward check redis@7.0.15\n  spawnward check redis@7.0.15 --output name",
			names:   true,
			flags: func(fs *pflag.FlagSet) {
				a.launchFlags(fs)
				fs.BoolVar(&a.flags.showValues, "show-values", false, "show the values of the environment")
			}, run: a.check, signals: never,
		},
	}
}

// backendCommands look at backends that were launched.
func (a *app) backendCommands() []*command {
	return []*command{
		{
			name: "exec", args: "SERVICE[@VERSION] [-- ARG...]", short: "decide as launch would, then become the program",
			example: "spawnward exec redis@7.0.15\n  spawnward exec --binary /opt/app/bin/server --root /opt/app app@1.0.0 -- --port 8080",
			flags:   a.launchFlags, run: a.exec,
		},
		{
			name: "ps", short: "list the recorded backends, each verified anew",
			example: "spawnward ps --watch=5s\n  spawnward ps --output name",
			names:   true,
			flags: func(fs *pflag.FlagSet) {
				a.stateFlags(fs)
				fs.DurationVarP(&a.flags.watch, "watch", "w", 0, "print again and again, every two seconds or as often as is said")
				fs.Lookup("watch").NoOptDefVal = "2s"
			}, run: a.ps,
		},
		{
			name: "probe", args: "SERVICE[@VERSION]", short: "verify a recorded backend anew",
			example: "spawnward probe redis@7.0.15", flags: a.stateFlags, run: a.probe,
		},
		{
			name: "stop", args: "SERVICE[@VERSION]", short: "end a backend and remove what it left",
			example: "spawnward stop redis --timeout 30s",
			flags: func(fs *pflag.FlagSet) {
				a.stateFlags(fs)
				fs.DurationVar(&a.flags.timeout, "timeout", 10*time.Second, "how long it may take before it is ended by force")
			}, run: a.stop,
		},
	}
}

// siteCommands work on what a site writes.
func (a *app) siteCommands() []*command {
	return []*command{
		{name: "service", short: "work with service definitions", subs: a.serviceCommands()},
		{name: "policy", short: "write, test, check and sign a site's policy", subs: a.policyCommands()},
		{name: "catalog", short: "say which release a file is", subs: a.catalogCommands()},
		{name: "log", short: "read and prove the log of decisions", subs: a.logCommands()},
		{name: "hook", short: "write and try environment hooks", subs: a.hookCommands()},
	}
}

// machineCommands are about the machine and the command itself.
func (a *app) machineCommands() []*command {
	return []*command{
		a.conformanceCommand(),
		{
			name: "doctor", short: "check what a launch needs of this machine, and say how to mend it",
			example: "spawnward doctor --policy /etc/spawnward/site", flags: a.doctorFlags, run: a.doctor,
		},
		{
			name: "completion", args: "bash|zsh|fish", short: "print the completion script of a shell",
			example: "source <(spawnward completion bash)", text: true, run: a.completion,
		},
		{name: "version", short: "print the version of the command", example: "spawnward version", run: a.version},
	}
}

// hiddenCommands are for other programs: the parts that the command plays as a
// backend, and what completion and packaging ask it.
func (a *app) hiddenCommands() []*command {
	return []*command{
		{
			name: "demo-backend", hidden: true, raw: true,
			run: func(ctx context.Context, _ []string) error { return demoBackend(ctx) },
		},
		{name: "complete-words", hidden: true, raw: true, run: a.complete},
		{name: "man-page", hidden: true, raw: true, run: a.manPage},
		{
			name: "scripted-backend", hidden: true, raw: true,
			run: a.scripted,
		},
		{name: conformance.WorldCommand, hidden: true, raw: true, run: a.conformanceWorld},
	}
}

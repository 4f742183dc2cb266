package service

// Defaults returns a definition that holds nothing but the defaults.
func Defaults() Definition {
	idle := DefaultIdleTimeout
	d := Definition{Launch: Launch{IdleTimeout: &idle}}
	d.Normalize()
	return d
}

// Normalize fills every empty field that has a default. IdleTimeout is left
// alone, because nil means none; [Defaults] has it.
func (d *Definition) Normalize() {
	l := &d.Launch
	setIfZero(&d.Isolation, PrivateBroker)
	setIfZero(&l.Dir, DefaultDir)
	setIfZero(&l.Probe, ProbeIdentity)
	setIfZero(&l.ReadyTimeout, DefaultReadyTimeout)
	setIfZero(&l.Argv0, d.BinaryPath)
	setIfZero(&l.Settle, DefaultSettle)
	setIfZero(&l.Stderr, StderrNull)
}

func setIfZero[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

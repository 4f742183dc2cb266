package code

// Codes of the decision log.
const (
	LogFailed      Code = "log_failed"
	LogInAllowRoot Code = "log_in_allow_root"
	LogBroken      Code = "log_broken"
)

func logTable() []Entry {
	e := func(c Code, exit int, fix string) Entry { return Entry{Code: c, Subject: "log", Exit: exit, Fix: fix} }
	return []Entry{
		e(LogFailed, ExitPolicy, "Make the decision log writable: free space, or choose another directory; nothing is launched that cannot be recorded, unless log.on_failure is warn."),
		e(LogInAllowRoot, ExitPolicy, "Move the decision log out of the allow-root that the message names, or choose a narrower allow-root."),
		e(LogBroken, ExitOther, "Find out who changed the log at the line that the message names; compare it with a copy that was taken before."),
	}
}

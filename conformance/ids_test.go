package conformance

// unreached says of codes why no case can show them through the command.
func unreached() map[string]string {
	return map[string]string{}
}

package conformance

// unreached says of codes why no case can show their denial through the command.
// The Rego tests beside the rules show it.
func unreached() map[string]string {
	return map[string]string{
		"instance_invalid":           "a definition whose isolation and instance disagree is refused as service_invalid before policy sees it; only a library's caller gets there",
		"definition_owner_untrusted": "the services directory refuses a file of another owner before policy sees it; only a library's caller gets there",
	}
}

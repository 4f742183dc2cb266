// Package sealed makes executable memory files whose content can never change
// again, not even by whoever made them.
//
// Linux 5.9 or later, where vm.memfd_noexec is below 2. There is no other
// system's part: only Linux code uses it.
package sealed

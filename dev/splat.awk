# SPDX-License-Identifier: GPL-2.0-only
# Prints every console line that no healthy run has.  A report (from "cut here",
# a page fault or "Oops" to "end trace", between the rules that KASAN draws, or from the one
# of lockdep to the end of its stack) whose text matches the variable "expected" is
# skipped.

function bad(line) {
	return line ~ /BUG:|WARNING:|Oops|UBSAN:|KASAN:|KFENCE:|KCSAN:|kernel BUG at/ ||
	       line ~ /Kernel panic|general protection|Call [Tt]race:|Internal error:/ ||
	       line ~ /INFO: (rcu|task|possible|suspicious|trying)|suspicious RCU/ ||
	       line ~ /possible (recursive|circular|irq|irq lock)|inconsistent lock state/ ||
	       line ~ /rcu_.*detected.*stall|soft lockup|hard LOCKUP|blocked for more than/ ||
	       line ~ /Unable to handle kernel|unable to handle page fault/ ||
	       line ~ /W\+X mappings: (FAILED|failed)|Insecure W\+X|[0-9] W\+X pages found/ ||
	       line ~ /ODEBUG:|refcount_t:|corruption|scheduling while atomic|sleeping function/ ||
	       line ~ /unreferenced object|Trying to (vfree|free)|Bad page state|Bad pte/
}

function flush() {
	if (expected == "" || block !~ expected)
		printf "%s", hits
	block = hits = end = ""
}

{ sub(/\r$/, "") }
/-+\[ cut here \]-+/ { flush(); end = "---\\[ end trace" }
/BUG: unable to handle page fault|Oops: / && end == "" { end = "---\\[ end trace" }
/====================/ && end == "</TASK>" { flush() }	# a stack without end
/====================/ && end == "" { end = "===================="; next }
end != "" {
	block = block $0 "\n"
	if (bad($0))
		hits = hits $0 "\n"
	if (/stack backtrace:/)
		end = "</TASK>"
	if ($0 ~ end)
		flush()
	next
}
bad($0)
END { flush() }

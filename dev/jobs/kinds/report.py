# SPDX-License-Identifier: GPL-2.0-only
KEY = "Key was rejected by service"


def check(tap, k):
    cfi, loaded = k.label, k.at("loaded")
    tap.matches(f"{cfi} is in use", lambda: k.text("dmesg"), f"(?i:using {cfi})")
    tap.equal("modules are compressed", lambda: k.text("compression").strip(), "xz")
    tap.equal("signatures are enforced", lambda: k.text("sig_enforce").strip(), "Y")
    tap.equal("all are loaded", lambda: len(loaded.modules), lambda: len(k.lines("list")))
    tap.at_least("  which are some", len(k.lines("list")), 20)
    tap.at_least("text is in huge blocks", lambda: loaded.pools["module_text"]["blocks_huge"], 1)
    tap.equal("all go", lambda: k.at("unloaded").modules, [])
    for tag in "unsigned", "broken":
        tap.equal(f"an {tag} one is refused", lambda: k.number(tag) != 0, True)
        tap.contains(f"  for its key ({tag})", lambda: k.at(tag).text("answer"), KEY)
    tap.same_use(k, now="refused")
    tap.equal("one without an exit function stays", lambda: k.number("leave") != 0, True)
    tap.equal("and goes by force", lambda: k.number("force"), 0)
    tap.same_use(k)


def report(tap, out):
    for k in out.kernels("kcfi", "fineibt"):
        check(tap, k)

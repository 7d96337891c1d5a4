# SPDX-License-Identifier: GPL-2.0-only


def check_synced(tap, k, tag):
    """Once in all, and before the first notifier.  Without huge pages, text is not written
    in a copy, and each change synchronizes three times."""
    for when, name in ("before the first notifier", "coming_synced"), ("in all", "synced"):
        what = f"{k.label}: {tag}: CPUs are synchronized {when}"
        if k.label == "execmem=on":
            tap.equal(what, lambda: int(k.text(f"{tag}/{name}")), 1)
        else:
            tap.at_least(what, lambda: int(k.text(f"{tag}/{name}")), 6)


def report(tap, out):
    for k in out.kernels("execmem=on", "execmem=off"):
        def seen(tag, what):
            return int(k.text(f"{tag}/{what}"))

        def equal(name, tag, what, value):
            tap.equal(f"{k.label}: {name}", lambda: seen(tag, what), value)

        for tag in "plain", "again", "traced":
            equal(f"{tag}: the first notifier sees the key's state", tag, "coming_key", 1)
            equal(f"{tag}: and that of the call", tag, "coming_call", 2)
            check_synced(tap, k, tag)
            equal(f"{tag}: the key and the call know the module", tag, "known_live", 2)
            equal(f"{tag}: when it goes, the key is patched", tag, "going_key", 0)
            equal(f"{tag}: and so is the call", tag, "going_call", 1)
            equal(f"{tag}: then neither knows it", tag, "known", 0)
        tap.matches(f"{k.label}: its functions are traced", lambda: k.text("traced/trace"),
                    r"notified_key.* <-")
        for tag in "early", "last":
            tap.contains(f"{k.label}: the {tag} notifier refuses it",
                         lambda tag=tag: k.text(f"{tag}/answer"), "not permitted")
            tap.equal(f"{k.label}: {tag}: it is not there",
                      lambda tag=tag: "execmem_notified" in k.text(f"{tag}/modules"), False)
            equal(f"{tag}: neither the key nor the call knows it", tag, "known", 0)
    tap.same_use(out.kernel("execmem=on"))

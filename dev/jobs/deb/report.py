# SPDX-License-Identifier: GPL-2.0-only
import re

from report.guest import Folder

MODULE = "execmem_dkms"


def check_root(tap, root, files):
    tap.equal("no package has a '+' in its name", "+" in files, False)
    packages = dict(line.split("\t") for line in root.lines("packages"))
    releases = {name.split("-", 2)[2] for name in packages}
    tap.equal("linux-image and linux-headers are installed, for one release",
              (len(packages), len(releases)), (2, 1))
    release = min(releases)
    tap.contains("the kernel is in /boot", lambda: root.text("boot"), f"vmlinuz-{release}")
    tap.equal("modules are of this release", lambda: root.lines("modules"), [release])
    tap.matches("dkms built the module when the kernel was installed",
                lambda: root.text("dkms"), f"{re.escape(release)}, x86_64: installed")
    tap.equal("after the packages were removed: what is left in /boot, /lib/modules, /usr/src",
              lambda: [f for f in root.lines("rest") if release in f], [])
    return release


def check_machine(tap, k, release):
    label = k.label
    tap.equal(f"{label}: release", lambda: k.said["kernel"], release)
    tap.contains(f"{label}: the module is the one of dkms", lambda: k.said["file"],
                 f"/lib/modules/{release}/updates/dkms/{MODULE}.ko")
    tap.equal(f"{label}: the module is built for this release",
              lambda: k.said["vermagic"].split()[0], release)
    tap.equal(f"{label}: the module is loaded",
              lambda: [m.name for m in k.at("loaded").modules], [MODULE])
    tap.equal(f"{label}: what it computes, before and after its text was patched",
              lambda: (k.said["first"], k.said["second"]), ("42", "-42"))
    tap.same_use(k)


def fills(k, tag):
    """How often text of modules was written where it is read-only"""
    return k.at(tag).pools.of("module_text")["fills"]


def report(tap, out, files):
    release = check_root(tap, Folder(out.path / "root"), files)
    for k in out.kernels("execmem=on", "execmem=off"):
        check_machine(tap, k, release)
    on, off = out.kernels("execmem=on", "execmem=off")
    tap.at_least("execmem=on: text is written through another mapping: times",
                 lambda: fills(on, "loaded") - fills(on, "before"), 1)
    tap.equal("execmem=off: times", lambda: fills(off, "loaded"), 0)

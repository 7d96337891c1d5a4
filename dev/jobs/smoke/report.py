# SPDX-License-Identifier: GPL-2.0-only
def report(tap, out):
    kernel = out.kernel("execmem=on")
    before, after = kernel.at("before"), kernel.at("after")

    def flushes():
        return [state.vmstat["nr_tlb_remote_flush"] for state in (before, after)]

    tap.equal("other processors", kernel.others, 1)
    tap.at_least("the page tables can be read: executable pages of the image",
                 lambda: before.pages["exec_image_4k"] + before.pages["exec_image_2M"], 1)
    tap.at_least("flushes are counted in vmstat: loading and unloading a module",
                 lambda: flushes()[1] - flushes()[0], 1)
    tap.equal("there is BTF", lambda: "vmlinux" in before.text("btf"), True)
    tap.equal("there are kprobe events", lambda: before.text("kprobe_events"), "")
    tap.equal("test_bpf ran", lambda: "test_bpf: Summary" in after.text("dmesg"), True)

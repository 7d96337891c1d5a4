# SPDX-License-Identifier: GPL-2.0-only
def report(tap, out):
    kernel = out.kernel("execmem=on")
    now = kernel.at("now")
    tap.at_least("processors", kernel.others, 1)
    tap.at_least("the page tables can be read: executable pages of the image",
                 lambda: now.pages["exec_image_4k"] + now.pages["exec_image_2M"], 1)
    tap.at_least("flushes are counted in vmstat",
                 lambda: now.vmstat["nr_tlb_remote_flush"], 0)
    tap.equal("there is BTF", lambda: "vmlinux" in now.text("btf"), True)
    tap.equal("there are kprobe events", lambda: now.text("kprobe_events"), "")
    tap.equal("test_bpf ran", lambda: "test_bpf: Summary" in now.text("dmesg"), True)

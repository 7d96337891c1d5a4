# SPDX-License-Identifier: GPL-2.0-only
# Sourced by gdb: of each chunk that debugfs lists, the first and the last byte belong to
# it, and the bytes before it and after it do not.  Prints those for which that is so.
import os

import gdb


def chunk_at(addr):
    try:
        out = gdb.execute("lx-execmem 0x%x" % addr, to_string=True)
    except gdb.error:
        return None
    return out.splitlines()[-1].split(" state ")[0]


def check(start, size):
    chunk = "chunk 0x%x size %d" % (start, size)
    found = [chunk_at(addr) == chunk for addr in
             (start - 1, start, start + size - 1, start + size)]
    if found == [False, True, True, False]:
        print(chunk)


with open(os.environ["CHUNKS"]) as chunks:
    for line in chunks:
        if not line.startswith("#"):
            words = line.split()
            check(int(words[0], 16), int(words[1]))

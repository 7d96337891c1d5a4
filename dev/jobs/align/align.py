# SPDX-License-Identifier: GPL-2.0-only
"""align.py MODULE COPY SECTION=ALIGNMENT...: a copy of a module with other alignments,
also those that objcopy refuses"""
import struct
import sys

HEADER = struct.Struct("<IIQQQQIIQQ")	# Elf64_Shdr; sh_addralign is the last but one
ALIGN = 8


def main(module, copy, *wanted):
    data = bytearray(open(module, "rb").read())
    shoff, = struct.unpack_from("<Q", data, 0x28)
    size, number, names = struct.unpack_from("<HHH", data, 0x3a)
    sections = [list(HEADER.unpack_from(data, shoff + i * size)) for i in range(number)]
    strings = sections[names][4]
    todo = dict(w.split("=") for w in wanted)
    for i, section in enumerate(sections):
        start = strings + section[0]
        name = data[start:data.index(0, start)].decode()
        if name not in todo:
            continue
        section[ALIGN] = int(todo.pop(name), 0)
        HEADER.pack_into(data, shoff + i * size, *section)
    if todo:
        sys.exit(f"align.py: no section {' '.join(todo)} in {module}")
    open(copy, "wb").write(data)


main(*sys.argv[1:])

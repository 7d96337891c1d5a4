#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Make a livepatch's relocations late ones: dev/modules/klp-rela.py MODULE.ko OBJECT

Relocations that refer to symbols named ".klp.sym.OBJECT.NAME,POSITION" go to sections
".klp.rela.OBJECT.SECTION", and the symbols are marked, as in
Documentation/livepatch/module-elf-format.rst.  The kernel tree has no tool for it.
"""
import struct
import sys

SHDR = struct.Struct("<IIQQQQIIQQ")
RELA = struct.Struct("<QQq")
SHT_RELA, SHT_SYMTAB = 4, 2
SHF_ALLOC, SHF_INFO_LINK, SHF_RELA_LIVEPATCH = 0x2, 0x40, 0x00100000
SHN_LIVEPATCH = 0xff20
NAME, TYPE, FLAGS, OFFSET, SIZE, INFO = 0, 1, 2, 4, 5, 7


def text_at(elf, start):
    return elf[start:elf.index(b"\0", start)].decode()


def mark_symbols(elf, sections, symtab, prefix):
    """The numbers of the symbols with this prefix, which belong to no section now"""
    strings = sections[symtab[6]][OFFSET]
    found = set()
    for i in range(symtab[SIZE] // 24):
        entry = symtab[OFFSET] + 24 * i
        name = strings + struct.unpack_from("<I", elf, entry)[0]
        if text_at(elf, name).startswith(prefix):
            struct.pack_into("<H", elf, entry + 6, SHN_LIVEPATCH)
            found.add(i)
    return found


def split_relocations(elf, section, symbols):
    """Take those that refer to the symbols out of a section, and return them"""
    start, size = section[OFFSET], section[SIZE]
    entries = list(RELA.iter_unpack(elf[start:start + size]))
    late = [e for e in entries if e[1] >> 32 in symbols]
    kept = b"".join(RELA.pack(*e) for e in entries if e[1] >> 32 not in symbols)
    elf[start:start + len(kept)] = kept
    section[SIZE] = len(kept)
    return b"".join(RELA.pack(*e) for e in late)


def append(elf, data):
    elf.extend(b"\0" * (-len(elf) % 8))
    start = len(elf)
    elf.extend(data)
    return start


def main(path, obj):
    elf = bytearray(open(path, "rb").read())
    table, = struct.unpack_from("<Q", elf, 40)
    count, names_index = struct.unpack_from("<HH", elf, 60)
    sections = [list(SHDR.unpack_from(elf, table + 64 * i)) for i in range(count)]
    names = sections[names_index]
    strings = elf[names[OFFSET]:names[OFFSET] + names[SIZE]]
    symtab = next(s for s in sections if s[TYPE] == SHT_SYMTAB)
    symbols = mark_symbols(elf, sections, symtab, f".klp.sym.{obj}.")

    made = 0
    for section in [s for s in sections if s[TYPE] == SHT_RELA]:
        late = split_relocations(elf, section, symbols)
        if not late:
            continue
        of = text_at(strings, sections[section[INFO]][NAME])
        new = list(section)
        new[NAME] = len(strings)
        new[FLAGS] = SHF_ALLOC | SHF_INFO_LINK | SHF_RELA_LIVEPATCH
        new[OFFSET], new[SIZE] = append(elf, late), len(late)
        sections.append(new)
        strings += f".klp.rela.{obj}.{of}".encode() + b"\0"
        made += 1
    if not made:
        sys.exit(f"{path}: nothing refers to symbols of {obj}")

    names[OFFSET], names[SIZE] = append(elf, strings), len(strings)
    struct.pack_into("<Q", elf, 40, append(elf, b"".join(SHDR.pack(*s) for s in sections)))
    struct.pack_into("<H", elf, 60, len(sections))
    open(path, "wb").write(elf)


if __name__ == "__main__":
    main(*sys.argv[1:])

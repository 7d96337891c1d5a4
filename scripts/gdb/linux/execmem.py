# SPDX-License-Identifier: GPL-2.0
#
# gdb helper commands and functions for Linux kernel debugging
#
#  pools, blocks and chunks of execmem, see mm/execmem_internal.h
#

import gdb

from linux import lists, rbtree, utils

block_type = utils.CachedType("struct execmem_block")
chunk_type = utils.CachedType("struct execmem_chunk")


def all_pools():
    pools = utils.gdb_eval_or_none("execmem_pools")
    if pools is None:
        raise gdb.GdbError("This kernel has no execmem pools")
    first, last = pools.type.range()
    return [pools[i] for i in range(first, last + 1)]


# Merged types have a pool, too, but it has no blocks.
def used_pools():
    return [pool for pool in all_pools() if pool['reserved']]


def type_name(execmem_type):
    return all_pools()[int(execmem_type)]['name'].string()


def state_name(chunk):
    return str(chunk['state']).replace("EXECMEM_", "").lower()


# Read the whole structure at once, not member by member.
def fetch(ptr):
    value = ptr.dereference()
    value.fetch_lazy()
    return value


def caller_name(caller):
    symbol = str(caller).split(' ', 1)
    return symbol[-1].strip("<>")


def leaf_name(block):
    return "huge" if block['huge'] else "base"


def each_chunk(pool):
    ptr_type = chunk_type.get_type().pointer()
    for chunk in rbtree.rb_inorder_for_each_entry(pool['chunks'], ptr_type,
                                                  "node"):
        yield fetch(chunk)


def is_inside(addr, area):
    return area['start'] <= addr < area['start'] + area['size']


def find_block(addr):
    ptr_type = block_type.get_type().pointer()
    for pool in used_pools():
        for block in lists.list_for_each_entry(pool['blocks'], ptr_type,
                                               "list"):
            if is_inside(addr, block):
                return fetch(block)
    return None


def find_chunk(pool, addr):
    ptr_type = chunk_type.get_type().pointer()
    node = pool['chunks']['rb_node']
    while node:
        chunk = fetch(utils.container_of(node, ptr_type, "node"))
        if is_inside(addr, chunk):
            return chunk
        branch = 'rb_left' if addr < chunk['start'] else 'rb_right'
        node = chunk['node'][branch]
    return None


def show_pools():
    row = "{:<20} {:>12} {:>12} {:>7} {:>6} {:>6}\n"
    gdb.write(row.format("pool", "reserved", "used", "chunks", "huge", "base"))
    for pool in used_pools():
        gdb.write(row.format(pool['name'].string(), int(pool['reserved']),
                             int(pool['used']), int(pool['nr_chunks']),
                             int(pool['nr_huge']),
                             int(pool['nr_blocks'] - pool['nr_huge'])))


def show_chunks():
    row = "{:<18} {:>8} {:<20} {:<6} {}\n"
    gdb.write(row.format("address", "size", "type", "state", "caller"))
    for pool in used_pools():
        for chunk in each_chunk(pool):
            if state_name(chunk) == "free":
                continue
            gdb.write(row.format(hex(int(chunk['start'])), int(chunk['size']),
                                 type_name(chunk['type']), state_name(chunk),
                                 caller_name(chunk['caller'])))


# Type and caller of a free chunk are those of its last user: do not show them.
def show_chunk(chunk):
    gdb.write("chunk 0x{:x} size {} state {}".format(
        int(chunk['start']), int(chunk['size']), state_name(chunk)))
    if state_name(chunk) != "free":
        gdb.write(" type {} caller {}".format(type_name(chunk['type']),
                                              caller_name(chunk['caller'])))
    gdb.write("\n")


def show_address(addr):
    block = find_block(addr)
    if block is None:
        raise gdb.GdbError("0x{:x} is in no block".format(addr))
    pool = block['pool'].dereference()
    gdb.write("pool  {}\n".format(pool['name'].string()))
    gdb.write("block 0x{:x} size {} leaf {} used {} caller {}\n".format(
        int(block['start']), int(block['size']), leaf_name(block),
        int(block['used']), caller_name(block['caller'])))
    chunk = find_chunk(pool, addr)
    if chunk is None:
        raise gdb.GdbError("0x{:x} is in no chunk, the tree of pool {} is "
                           "broken".format(addr, pool['name'].string()))
    show_chunk(chunk)


class LxExecmem(gdb.Command):
    """Show memory for dynamic kernel code.

lx-execmem            list the pools that have memory
lx-execmem ADDRESS    show the pool, block and chunk of ADDRESS, an expression
lx-execmem -c         list the chunks in use of all pools

If the target was stopped during an operation, the numbers may be inconsistent."""

    def __init__(self):
        super(LxExecmem, self).__init__("lx-execmem", gdb.COMMAND_DATA,
                                        gdb.COMPLETE_EXPRESSION)

    def invoke(self, arg, from_tty):
        arg = arg.strip()
        if not arg:
            show_pools()
        elif arg == "-c":
            show_chunks()
        else:
            addr = gdb.parse_and_eval(arg).cast(utils.get_ulong_type())
            show_address(int(addr))


LxExecmem()

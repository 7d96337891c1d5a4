// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load two programs, run them, and print as "@ name value" what the kernel answers when
 * it is asked about their addresses:
 *
 *	stack.addr	where the first one is; it calls a helper
 *	stack.ran	it ran while ./guest traced that helper
 *	fault.addr	where the second one is; it reads from an address that is not mapped
 *	fault.value	what it got: 42 if the exception table gave it a zero
 *	dump.bytes	size of the first one's code as bpf() dumps it
 *	dump.kcore	how much of that is the same in /proc/kcore
 *	ksymbol.addr	where perf's event says that it is
 *	ksymbol.len	and how large
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The guard hole at the start of the kernel's half of the address space */
#define UNMAPPED	0xffff800000001000ull
#define NAME		"room_stack"
#define PAGE		4096
#define RING_PAGES	8

static void die(const char *what)
{
	printf("ask: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- types of the kernel ---------------------------------------------- */

static char *read_btf(void)
{
	int fd = open("/sys/kernel/btf/vmlinux", O_RDONLY);
	struct stat st;
	ssize_t len;
	off_t at;
	char *data;

	if (fd < 0 || fstat(fd, &st))
		die("no BTF");
	data = malloc(st.st_size);
	for (at = 0; at < st.st_size; at += len) {
		len = read(fd, data + at, st.st_size - at);
		if (len <= 0)
			die("BTF");
	}
	close(fd);
	return data;
}

/* What follows struct btf_type */
static size_t more(const struct btf_type *t)
{
	static const int per_item[] = {
		[BTF_KIND_STRUCT] = sizeof(struct btf_member),
		[BTF_KIND_UNION] = sizeof(struct btf_member),
		[BTF_KIND_ENUM] = sizeof(struct btf_enum),
		[BTF_KIND_ENUM64] = sizeof(struct btf_enum64),
		[BTF_KIND_FUNC_PROTO] = sizeof(struct btf_param),
		[BTF_KIND_DATASEC] = sizeof(struct btf_var_secinfo),
	};
	int kind = BTF_INFO_KIND(t->info);

	if (kind == BTF_KIND_INT || kind == BTF_KIND_VAR || kind == BTF_KIND_DECL_TAG)
		return 4;
	if (kind == BTF_KIND_ARRAY)
		return sizeof(struct btf_array);
	if (kind >= (int)(sizeof(per_item) / sizeof(*per_item)))
		return 0;
	return per_item[kind] * BTF_INFO_VLEN(t->info);
}

static int type_id(int kind, const char *name)
{
	static char *btf;
	struct btf_header *h;
	char *at, *end;
	int id;

	if (!btf)
		btf = read_btf();
	h = (struct btf_header *)btf;
	at = btf + h->hdr_len + h->type_off;
	end = at + h->type_len;
	for (id = 1; at < end; id++) {
		struct btf_type *t = (struct btf_type *)at;

		if ((int)BTF_INFO_KIND(t->info) == kind &&
		    !strcmp(btf + h->hdr_len + h->str_off + t->name_off, name))
			return id;
		at += sizeof(*t) + more(t);
	}
	die(name);
	return 0;
}

/* ---- programs ---------------------------------------------------------- */

#define INSN(...)	((struct bpf_insn){ __VA_ARGS__ })
#define EXIT		INSN(.code = BPF_JMP | BPF_EXIT)
#define SET(_reg, _imm)	INSN(.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (_reg), .imm = (_imm))
#define CALL(_src, _f)	INSN(.code = BPF_JMP | BPF_CALL, .src_reg = (_src), .imm = (_f))

static int bpf(int cmd, union bpf_attr *attr)
{
	return syscall(__NR_bpf, cmd, attr, sizeof(*attr));
}

static int load(const char *name, const struct bpf_insn *insns, int nr)
{
	static char log[65536];
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SCHED_CLS,
		.insns = (uintptr_t)insns,
		.insn_cnt = nr,
		.license = (uintptr_t)"GPL",
		.log_buf = (uintptr_t)log,
		.log_size = sizeof(log),
		.log_level = 1,
	};
	int fd;

	strcpy(attr.prog_name, name);
	fd = bpf(BPF_PROG_LOAD, &attr);
	if (fd < 0) {
		printf("%s\n", log);
		die(name);
	}
	return fd;
}

static int load_stack(void)
{
	const struct bpf_insn insns[] = {
		CALL(0, BPF_FUNC_ktime_get_ns),
		SET(BPF_REG_0, 42),
		EXIT,
	};

	return load(NAME, insns, sizeof(insns) / sizeof(*insns));
}

/* Returns 42 if the load from UNMAPPED yields 0, as the exception table says */
static int load_fault(void)
{
	const struct bpf_insn insns[] = {
		INSN(.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = BPF_REG_1,
		     .imm = (uint32_t)UNMAPPED),
		INSN(.imm = UNMAPPED >> 32),
		SET(BPF_REG_2, type_id(BTF_KIND_STRUCT, "list_head")),
		CALL(BPF_PSEUDO_KFUNC_CALL, type_id(BTF_KIND_FUNC, "bpf_rdonly_cast")),
		INSN(.code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_1,
		     .src_reg = BPF_REG_0),
		SET(BPF_REG_0, 42),
		INSN(.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = BPF_REG_1, .off = 1),
		SET(BPF_REG_0, 1),
		EXIT,
	};

	return load("room_fault", insns, sizeof(insns) / sizeof(*insns));
}

static unsigned int run(int fd)
{
	char packet[64] = {};
	union bpf_attr attr = {
		.test = {
			.prog_fd = fd,
			.data_size_in = sizeof(packet),
			.data_in = (uintptr_t)packet,
		},
	};

	if (bpf(BPF_PROG_TEST_RUN, &attr))
		die("BPF_PROG_TEST_RUN");
	return attr.test.retval;
}

/* Returns the address, and the code in @code of *@len bytes. */
static uint64_t dump(int fd, void *code, uint32_t *len)
{
	uint64_t addr = 0;
	struct bpf_prog_info info = {
		.jited_prog_insns = (uintptr_t)code,
		.jited_prog_len = *len,
		.jited_ksyms = (uintptr_t)&addr,
		.nr_jited_ksyms = 1,
	};
	union bpf_attr attr = {
		.info = { .bpf_fd = fd, .info_len = sizeof(info), .info = (uintptr_t)&info },
	};

	if (bpf(BPF_OBJ_GET_INFO_BY_FD, &attr))
		die("BPF_OBJ_GET_INFO_BY_FD");
	*len = info.jited_prog_len;
	return addr;
}

/* How many bytes from @addr on are the same in /proc/kcore? */
static unsigned int in_kcore(uint64_t addr, const char *code, uint32_t len)
{
	int fd = open("/proc/kcore", O_RDONLY);
	char copy[PAGE];
	Elf64_Ehdr elf;
	Elf64_Phdr ph;
	unsigned int same = 0, i;

	if (fd < 0 || pread(fd, &elf, sizeof(elf), 0) != sizeof(elf))
		die("/proc/kcore");
	for (i = 0; i < elf.e_phnum; i++) {
		if (pread(fd, &ph, sizeof(ph), elf.e_phoff + i * sizeof(ph)) != sizeof(ph))
			die("/proc/kcore");
		if (ph.p_type == PT_LOAD && addr - ph.p_vaddr < ph.p_memsz &&
		    pread(fd, copy, len, ph.p_offset + addr - ph.p_vaddr) == (ssize_t)len)
			while (same < len && copy[same] == code[same])
				same++;
	}
	close(fd);
	return same;
}

/* ---- perf -------------------------------------------------------------- */

static struct perf_event_mmap_page *watch_ksymbols(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.ksymbol = 1,
	};
	int fd = syscall(__NR_perf_event_open, &attr, 0, -1, -1, 0);
	void *ring;

	if (fd < 0)
		die("perf_event_open");
	ring = mmap(NULL, (1 + RING_PAGES) * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED)
		die("ring");
	return ring;
}

/* Print the event about the symbol that contains NAME; few, so the ring does not wrap. */
static void print_ksymbol(struct perf_event_mmap_page *ring)
{
	struct ksymbol {
		struct perf_event_header header;
		uint64_t addr;
		uint32_t len;
		uint16_t type, flags;
		char name[];
	} *event;
	uint64_t at;

	for (at = 0; at < ring->data_head; at += event->header.size) {
		event = (void *)((char *)ring + PAGE + at);
		if (event->header.type == PERF_RECORD_KSYMBOL && strstr(event->name, NAME))
			printf("@ ksymbol.addr 0x%llx\n@ ksymbol.len %u\n",
			       (unsigned long long)event->addr, event->len);
	}
}

int main(void)
{
	struct perf_event_mmap_page *ring = watch_ksymbols();
	static char code[PAGE];
	uint32_t len = sizeof(code), other_len = 0;
	int stack = load_stack(), fault = load_fault();
	uint64_t addr = dump(stack, code, &len);

	setvbuf(stdout, NULL, _IONBF, 0);
	printf("@ stack.addr 0x%llx\n", (unsigned long long)addr);
	printf("@ fault.addr 0x%llx\n", (unsigned long long)dump(fault, NULL, &other_len));
	printf("@ dump.bytes %u\n@ dump.kcore %u\n", len, in_kcore(addr, code, len));
	print_ksymbol(ring);
	if (system("sh ./guest trace on"))
		die("trace");
	printf("@ stack.ran %u\n", run(stack));
	if (system("sh ./guest trace off"))
		die("trace");
	printf("@ fault.value %u\n", run(fault));
	return system("sh ./guest held") ? 1 : 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Run BPF code other than plain programs, using system calls only.
 *
 *   bpf_kinds trampoline   replace a kernel function's return value
 *   bpf_kinds dispatcher   run an XDP program repeatedly
 *   bpf_kinds struct_ops   call a function pointer of a kernel structure
 *
 * Each checks for a value that only the program can have returned. The exit
 * status is 4 if the kernel has no type information or does not support the
 * kind.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/filter.h>

#define BTF	"/sys/kernel/btf/vmlinux"
#define VALUE	23
#define SKIP	4

static void die(const char *what)
{
	fprintf(stderr, "bpf_kinds: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void skip(const char *what)
{
	fprintf(stderr, "bpf_kinds: no %s\n", what);
	exit(SKIP);
}

/* === Type information ===================================================== */

static void *read_btf(void)
{
	int fd = open(BTF, O_RDONLY);
	struct stat st;
	char *data;
	ssize_t len;

	if (fd < 0 || fstat(fd, &st))
		skip(BTF);
	data = malloc(st.st_size);
	if (!data)
		die("cannot read " BTF);
	for (off_t pos = 0; pos < st.st_size; pos += len) {
		len = read(fd, data + pos, st.st_size - pos);
		if (len <= 0)
			die("cannot read " BTF);
	}
	close(fd);
	return data;
}

/* Size in bytes of what follows the fixed part of a type's description */
static size_t extra_size(const struct btf_type *type)
{
	unsigned int nr = BTF_INFO_VLEN(type->info);

	switch (BTF_INFO_KIND(type->info)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return 4;
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return nr * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return nr * sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return nr * sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO:
		return nr * sizeof(struct btf_param);
	case BTF_KIND_DATASEC:
		return nr * sizeof(struct btf_var_secinfo);
	default:
		return 0;
	}
}

static int find_type(unsigned int kind, const char *name)
{
	const struct btf_header *header = read_btf();
	const char *data = (const char *)header + header->hdr_len;
	const char *strings = data + header->str_off;
	const char *end = data + header->type_off + header->type_len;
	const struct btf_type *type;
	int id = 1;

	for (data += header->type_off; data < end;
	     data += sizeof(*type) + extra_size(type), id++) {
		type = (const struct btf_type *)data;
		if (BTF_INFO_KIND(type->info) == kind &&
		    !strcmp(strings + type->name_off, name))
			return id;
	}
	skip(name);
	return 0;
}

/* === Programs ============================================================= */

static int sys_bpf(int cmd, union bpf_attr *attr)
{
	return syscall(__NR_bpf, cmd, attr, sizeof(*attr));
}

/* Load a program that returns VALUE. */
static int load(int prog_type, int attach_type, int btf_id)
{
	struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = VALUE },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = prog_type,
		.expected_attach_type = attach_type,
		.attach_btf_id = btf_id,
		.insns = (unsigned long)insns,
		.insn_cnt = 2,
		.license = (unsigned long)"GPL",
	};
	int fd = sys_bpf(BPF_PROG_LOAD, &attr);

	if (fd < 0 && errno == EINVAL)
		skip("such programs");
	if (fd < 0)
		die("BPF_PROG_LOAD");
	return fd;
}

static void run(union bpf_attr *attr, unsigned int expected)
{
	if (sys_bpf(BPF_PROG_TEST_RUN, attr))
		die("BPF_PROG_TEST_RUN");
	if (attr->test.retval == expected)
		return;
	fprintf(stderr, "bpf_kinds: got %u instead of %u\n", attr->test.retval,
		expected);
	exit(1);
}

/*
 * The kernel calls two test functions, the first one through a trampoline. The
 * lower half of the result is the sum of their return values. The upper half
 * counts the functions whose side effect is missing: the one that the program
 * replaces.
 */
#define SECOND_FUNCTION		(1 + 3 + 3 + 4 + 5 + 6 + 7)

static void run_trampoline(void)
{
	int btf_id = find_type(BTF_KIND_FUNC, "bpf_modify_return_test");
	int fd = load(BPF_PROG_TYPE_TRACING, BPF_MODIFY_RETURN, btf_id);
	union bpf_attr attach = { .raw_tracepoint = { .prog_fd = fd } };
	union bpf_attr attr = { .test = { .prog_fd = fd } };

	if (sys_bpf(BPF_RAW_TRACEPOINT_OPEN, &attach) < 0)
		die("BPF_RAW_TRACEPOINT_OPEN");
	run(&attr, 1 << 16 | (VALUE + SECOND_FUNCTION));
}

/* A program that is run more than once gets an entry in the dispatcher. */
static void run_dispatcher(void)
{
	char packet[64] = {};
	union bpf_attr attr = {
		.test = {
			.prog_fd = load(BPF_PROG_TYPE_XDP, 0, 0),
			.data_size_in = sizeof(packet),
			.data_in = (unsigned long)packet,
			.repeat = 100,
		},
	};

	run(&attr, VALUE);
}

/* Program for the first member of the structure; its argument may be NULL. */
static void run_struct_ops(void)
{
	int btf_id = find_type(BTF_KIND_STRUCT, "bpf_dummy_ops");
	__u64 args[1] = {};
	union bpf_attr attr = {
		.test = {
			.prog_fd = load(BPF_PROG_TYPE_STRUCT_OPS, 0, btf_id),
			.ctx_size_in = sizeof(args),
			.ctx_in = (unsigned long)args,
		},
	};

	run(&attr, VALUE);
}

int main(int argc, char **argv)
{
	const char *kind = argc > 1 ? argv[1] : "";

	if (!strcmp(kind, "trampoline"))
		run_trampoline();
	else if (!strcmp(kind, "dispatcher"))
		run_dispatcher();
	else if (!strcmp(kind, "struct_ops"))
		run_struct_ops();
	else
		die("which kind?");
	return 0;
}

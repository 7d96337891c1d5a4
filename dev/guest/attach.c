// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attach BPF programs to kernel functions, and provide a congestion control by BPF.
 *
 *	attach N FUNCTIONS COMMAND...
 *
 * N functions of the file FUNCTIONS get a trampoline each, with a program at their entry
 * or at their return.  If the kernel has TCP, 4 MB are sent with the congestion control.
 * Then COMMAND is executed by the shell.  All is detached in the end.  Prints
 *
 *	@ trampolines N		functions with a program
 *	@ runs N		of the programs, while COMMAND ran
 *	@ congestion NAME	what the connection used
 *	@ sent N		bytes that arrived at the other end
 *	@ runs.NAME N		of the function NAME of the congestion control
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define BTF_FILE	"/sys/kernel/btf/vmlinux"
#define CONGESTION	"execmem_test"
#define SENT		(4 << 20)
#define MAX_PROGRAMS	1000

static void die(const char *what)
{
	printf("attach: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int bpf(int command, union bpf_attr *attr)
{
	return syscall(SYS_bpf, command, attr, sizeof(*attr));
}

/* ---- the types of the kernel ------------------------------------------- */

static const struct btf_type **types;	/* by number */
static int nr_types;
static const char *strings;

static size_t tail_of(const struct btf_type *t)
{
	size_t n = BTF_INFO_VLEN(t->info);

	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_INT:		return sizeof(__u32);
	case BTF_KIND_ARRAY:		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:		return n * sizeof(struct btf_member);
	case BTF_KIND_ENUM:		return n * sizeof(struct btf_enum);
	case BTF_KIND_FUNC_PROTO:	return n * sizeof(struct btf_param);
	case BTF_KIND_VAR:		return sizeof(struct btf_var);
	case BTF_KIND_DATASEC:		return n * sizeof(struct btf_var_secinfo);
	case BTF_KIND_DECL_TAG:		return sizeof(struct btf_decl_tag);
	case BTF_KIND_ENUM64:		return n * sizeof(struct btf_enum64);
	default:			return 0;
	}
}

static void *read_btf(void)
{
	int fd = open(BTF_FILE, O_RDONLY);
	struct stat st;
	char *data;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		die(BTF_FILE);
	data = malloc(st.st_size);
	for (off_t at = 0; at < st.st_size; at += n) {
		n = read(fd, data + at, st.st_size - at);
		if (n <= 0)
			die(BTF_FILE);
	}
	close(fd);
	return data;
}

static void find_types(void)
{
	const struct btf_header *header = read_btf();
	const char *body = (const char *)header + header->hdr_len;
	const char *type = body + header->type_off;
	const char *end = type + header->type_len;

	strings = body + header->str_off;
	types = malloc(header->type_len / sizeof(struct btf_type) * sizeof(*types));
	for (nr_types = 1; type < end; nr_types++) {
		types[nr_types] = (const void *)type;
		type += sizeof(struct btf_type) + tail_of(types[nr_types]);
	}
}

static int type_named(const char *name, unsigned int kind)
{
	for (int i = 1; i < nr_types; i++) {
		if (BTF_INFO_KIND(types[i]->info) == kind &&
		    !strcmp(strings + types[i]->name_off, name))
			return i;
	}
	return 0;
}

/* Returns the number of the member; *offset is in bytes. */
static int member_named(const struct btf_type *t, const char *name, size_t *offset)
{
	const struct btf_member *members = (const void *)(t + 1);
	int n = BTF_INFO_VLEN(t->info);

	for (int i = 0; i < n; i++) {
		if (strcmp(strings + members[i].name_off, name))
			continue;
		*offset = (BTF_INFO_KFLAG(t->info) ?
			   BTF_MEMBER_BIT_OFFSET(members[i].offset) : members[i].offset) / 8;
		return i;
	}
	die(name);
	return -1;
}

/* ---- programs ---------------------------------------------------------- */

/* A program that returns RESULT */
static int load_program(int type, int attach_type, int btf_id, int result)
{
	struct bpf_insn code[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = result },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.prog_type = type;
	attr.expected_attach_type = attach_type;
	attr.attach_btf_id = btf_id;
	attr.insns = (uintptr_t)code;
	attr.insn_cnt = 2;
	attr.license = (uintptr_t)"GPL";
	return bpf(BPF_PROG_LOAD, &attr);
}

static uint64_t runs_of(int program)
{
	struct bpf_prog_info info = {};
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.info.bpf_fd = program;
	attr.info.info_len = sizeof(info);
	attr.info.info = (uintptr_t)&info;
	if (bpf(BPF_OBJ_GET_INFO_BY_FD, &attr))
		die("information about a program");
	return info.run_cnt;
}

static int programs[MAX_PROGRAMS];
static int nr_programs;

static bool attach(const char *function)
{
	int when = nr_programs % 2 ? BPF_TRACE_FEXIT : BPF_TRACE_FENTRY;
	int id = type_named(function, BTF_KIND_FUNC);
	union bpf_attr attr;
	int fd;

	if (!id)
		return false;
	fd = load_program(BPF_PROG_TYPE_TRACING, when, id, 0);
	if (fd < 0)
		return false;
	memset(&attr, 0, sizeof(attr));
	attr.link_create.prog_fd = fd;
	attr.link_create.attach_type = when;
	if (bpf(BPF_LINK_CREATE, &attr) < 0) {
		close(fd);
		return false;
	}
	programs[nr_programs++] = fd;
	return true;
}

static void attach_all(int wanted, const char *names)
{
	FILE *f = fopen(names, "r");
	char name[256];

	if (!f || wanted > MAX_PROGRAMS)
		die(names);
	while (nr_programs < wanted && fscanf(f, "%255s", name) == 1)
		attach(name);
	fclose(f);
	printf("@ trampolines %d\n", nr_programs);
}

/* ---- the congestion control -------------------------------------------- */

/* What TCP asks for at least; the results are windows, in packets. */
static struct operation {
	const char *name;
	int result;
	int program;
} operations[] = {
	{ .name = "ssthresh", .result = 10 }, { .name = "undo_cwnd", .result = 10 },
	{ .name = "cong_avoid" }, { .name = "init" },
};
#define NR_OPERATIONS	(sizeof(operations) / sizeof(operations[0]))

static void fill_operations(char *data, int id)
{
	size_t offset;

	for (struct operation *o = operations; o < operations + NR_OPERATIONS; o++) {
		int i = member_named(types[id], o->name, &offset);

		o->program = load_program(BPF_PROG_TYPE_STRUCT_OPS, i, id, o->result);
		if (o->program < 0)
			die(o->name);
		*(long *)(data + offset) = o->program;
	}
	member_named(types[id], "name", &offset);
	strcpy(data + offset, CONGESTION);
}

/* Types of user space, which the kernel asks for but does not need: an int */
static int load_types(void)
{
	struct {
		struct btf_header header;
		struct btf_type type;
		__u32 encoding;
		char strings[8];
	} btf = {
		.header = {
			.magic = BTF_MAGIC, .version = BTF_VERSION,
			.hdr_len = sizeof(struct btf_header),
			.type_len = sizeof(struct btf_type) + sizeof(__u32),
			.str_off = sizeof(struct btf_type) + sizeof(__u32),
			.str_len = sizeof("\0int"),
		},
		.type = { .name_off = 1, .info = BTF_KIND_INT << 24, .size = 4 },
		.encoding = BTF_INT_SIGNED << 24 | 32,
		.strings = "\0int",
	};
	union bpf_attr attr;
	int fd;

	memset(&attr, 0, sizeof(attr));
	attr.btf = (uintptr_t)&btf;
	attr.btf_size = sizeof(struct btf_header) + btf.header.str_off + btf.header.str_len;
	fd = bpf(BPF_BTF_LOAD, &attr);
	if (fd < 0)
		die("types");
	return fd;
}

/* Returns its map, or -1 if the kernel has no TCP */
static int register_congestion(void)
{
	int value = type_named("bpf_struct_ops_tcp_congestion_ops", BTF_KIND_STRUCT);
	int id = type_named("tcp_congestion_ops", BTF_KIND_STRUCT);
	union bpf_attr create, update;
	size_t offset;
	char *data;
	int map, key = 0;

	if (!value)
		return -1;
	if (!id)
		die("types of the congestion control");
	memset(&create, 0, sizeof(create));
	create.map_type = BPF_MAP_TYPE_STRUCT_OPS;
	create.key_size = sizeof(int);
	create.max_entries = 1;
	create.btf_fd = load_types();
	create.btf_vmlinux_value_type_id = value;
	create.value_size = types[value]->size;
	data = calloc(1, types[value]->size);
	member_named(types[value], "data", &offset);
	fill_operations(data + offset, id);
	map = bpf(BPF_MAP_CREATE, &create);
	if (map < 0)
		die("map of the congestion control");
	memset(&update, 0, sizeof(update));
	update.map_fd = map;
	update.key = (uintptr_t)&key;
	update.value = (uintptr_t)data;
	if (bpf(BPF_MAP_UPDATE_ELEM, &update))
		die("registration of the congestion control");
	free(data);
	return map;
}

static void unregister_congestion(int map)
{
	int key = 0;
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_fd = map;
	attr.key = (uintptr_t)&key;
	if (bpf(BPF_MAP_DELETE_ELEM, &attr))
		die("end of the congestion control");
	for (size_t i = 0; i < NR_OPERATIONS; i++)
		printf("@ runs.%s %llu\n", operations[i].name,
		       (unsigned long long)runs_of(operations[i].program));
	close(map);
}

/* ---- traffic ----------------------------------------------------------- */

static void serve(int listener)
{
	int fd = accept(listener, NULL, NULL);
	static char buffer[1 << 16];
	long total = 0;
	ssize_t n;

	while ((n = read(fd, buffer, sizeof(buffer))) > 0)
		total += n;
	printf("@ sent %ld\n", total);
	fflush(stdout);
	_exit(n < 0);
}

static void send_all(int fd)
{
	static char buffer[1 << 16];
	ssize_t n;

	for (size_t left = SENT; left; left -= n) {
		n = write(fd, buffer, left < sizeof(buffer) ? left : sizeof(buffer));
		if (n <= 0)
			die("send");
	}
}

static void traffic(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(address);
	char name[16] = "";

	if (bind(listener, (void *)&address, len) || listen(listener, 1) ||
	    getsockname(listener, (void *)&address, &len))
		die("listen");
	fflush(stdout);
	if (!fork())
		serve(listener);
	if (setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, CONGESTION, strlen(CONGESTION)) ||
	    connect(fd, (void *)&address, len))
		die("connect");
	len = sizeof(name);
	getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len);
	printf("@ congestion %.16s\n", name);
	send_all(fd);
	shutdown(fd, SHUT_WR);	/* the other process has the socket, too */
	close(fd);
	close(listener);
	wait(NULL);
}

/* ------------------------------------------------------------------------ */

int main(int argc, char **argv)
{
	struct rlimit files = { 4096, 4096 };
	uint64_t runs = 0;
	int map;

	if (argc < 4)
		return 2;
	setlinebuf(stdout);
	setrlimit(RLIMIT_NOFILE, &files);
	find_types();
	map = register_congestion();
	attach_all(atoi(argv[1]), argv[2]);
	if (map >= 0)
		traffic();
	for (int i = 3; i < argc; i++) {
		if (system(argv[i]))
			die(argv[i]);
	}
	for (int i = 0; i < nr_programs; i++)
		runs += runs_of(programs[i]);
	printf("@ runs %llu\n", (unsigned long long)runs);
	if (map >= 0)
		unregister_congestion(map);
	return 0;
}

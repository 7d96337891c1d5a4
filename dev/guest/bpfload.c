// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load, hold, churn and unload a fleet of BPF programs.
 *
 *	bpfload FLEET COMMAND...
 *
 * FLEET is a table of sizes (see the file "fleet"); the commands run in order:
 *
 *	load		load every program of the fleet and hold it
 *	first:N		load so many that the first N of the fleet are held
 *	churn:N		load and unload N programs, one after another
 *	unload		let go of everything
 *	sizes		print the sizes in loading order, on one line
 *	sh:COMMAND	run a shell command, for example a measurement
 *
 * Results are printed as "@ name value".  Every program is straight-line code
 * of exactly the listed number of JITed bytes; "cbpf" rows are classic filters,
 * attached to a socket each.  The size of the eBPF programs is read back from
 * the kernel; the kernel has no such question for classic filters, so these
 * are calibrated by the JIT's own message (bpf_jit_enable=2).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define JIT_SWITCH	"/proc/sys/net/core/bpf_jit_enable"
#define MAX_PROGRAMS	4096
#define MAX_INSNS	32768

/* What the kernel adds to a program in its executable memory, 6.12 x86-64. */
#define CHUNK		64
#define HEADER		(8 + 16)

struct program {
	int size;	/* JITed bytes */
	bool classic;
	int fd;		/* of the program, or of the socket it is attached to */
};

static struct program fleet[MAX_PROGRAMS];
static int nr_programs;
static int ebpf_base, cbpf_base;	/* JITed bytes of an empty program */

static void die(const char *what)
{
	printf("bpfload: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

/* ---- the fleet -------------------------------------------------------- */

static void read_fleet(const char *path)
{
	uint32_t seed = 20240901;
	char line[256], kind[8];
	FILE *f = fopen(path, "r");
	int i, j, count, from, to;

	if (!f)
		die(path);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, " %7[a-z] %d %d %d", kind, &count, &from, &to) != 4)
			continue;
		for (i = 0; i < count && nr_programs < MAX_PROGRAMS; i++) {
			struct program *p = &fleet[nr_programs++];

			p->size = from + (long)(to - from) * i / (count > 1 ? count - 1 : 1);
			p->classic = !strcmp(kind, "cbpf");
			p->fd = -1;
		}
	}
	fclose(f);

	for (i = nr_programs - 1; i > 0; i--) {
		struct program swap = fleet[i];

		seed = seed * 1664525 + 1013904223;
		j = (uint64_t)seed * (i + 1) >> 32;
		fleet[i] = fleet[j];
		fleet[j] = swap;
	}
}

/* ---- eBPF ------------------------------------------------------------- */

static int bpf(int cmd, union bpf_attr *attr, unsigned int size)
{
	return syscall(__NR_bpf, cmd, attr, size);
}

/* "r0 = 0; exit" with @body bytes of x86 code between the two; @body is 0 or >= 6 */
static int load_ebpf(int body)
{
	static struct bpf_insn insns[MAX_INSNS];
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insns = (uintptr_t)insns,
		.license = (uintptr_t)"GPL",
	};
	int n = 0, fd;

	insns[n++] = (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV | BPF_K };
	while (body >= 26) {
		/* mov rax, imm64 (10 bytes); add rax, imm32 (6); add rax, imm8 (4) */
		insns[n++] = (struct bpf_insn){ .code = BPF_LD | BPF_DW | BPF_IMM };
		insns[n++] = (struct bpf_insn){ .imm = 0x12345678 };
		insns[n++] = (struct bpf_insn){ .code = BPF_ALU64 | BPF_ADD | BPF_K, .imm = 4096 };
		insns[n++] = (struct bpf_insn){ .code = BPF_ALU64 | BPF_ADD | BPF_K, .imm = 1 };
		body -= 20;
	}
	for (; body % 3; body -= 4)
		insns[n++] = (struct bpf_insn){ .code = BPF_ALU64 | BPF_ADD | BPF_K, .imm = 1 };
	for (; body > 0; body -= 3)	/* add eax, imm8 */
		insns[n++] = (struct bpf_insn){ .code = BPF_ALU | BPF_ADD | BPF_K, .imm = 1 };
	insns[n++] = (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT };

	attr.insn_cnt = n;
	fd = bpf(BPF_PROG_LOAD, &attr, sizeof(attr));
	if (fd < 0)
		die("BPF_PROG_LOAD");
	return fd;
}

static int jited_size(int fd)
{
	struct bpf_prog_info info = {};
	union bpf_attr attr = {
		.info = { .bpf_fd = fd, .info_len = sizeof(info), .info = (uintptr_t)&info },
	};

	if (bpf(BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)))
		die("BPF_OBJ_GET_INFO_BY_FD");
	return info.jited_prog_len;
}

/* ---- classic BPF ------------------------------------------------------ */

/* "return 0" with @body bytes of x86 code before it; @body is 0 or >= 8 */
static int attach_cbpf(int body)
{
	static struct sock_filter insns[BPF_MAXINSNS];
	struct sock_fprog prog = { .filter = insns };
	int n = 0, fd;

	for (; body > 0; body -= body % 3 ? 5 : 3)	/* add eax, imm32 or imm8 */
		insns[n++] = (struct sock_filter)
			BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, body % 3 ? 4096 : 1);
	insns[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, 0);
	prog.len = n;

	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)))
		die("SO_ATTACH_FILTER");
	return fd;
}

/* The JITed size of a classic filter, from the message of the JIT. */
static int cbpf_size(int body)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK), size = 0;
	char record[1024], *at;
	ssize_t len;

	if (log < 0 || lseek(log, 0, SEEK_END) < 0)
		die("/dev/kmsg");
	write_file(JIT_SWITCH, "2");
	close(attach_cbpf(body));
	write_file(JIT_SWITCH, "1");
	while ((len = read(log, record, sizeof(record) - 1)) > 0) {
		record[len] = 0;
		at = strstr(record, " proglen=");
		if (at)
			size = atoi(at + strlen(" proglen="));
	}
	close(log);
	return size;
}

/* ---- commands --------------------------------------------------------- */

static void calibrate(void)
{
	int fd = load_ebpf(0);

	ebpf_base = jited_size(fd);
	close(fd);
	cbpf_base = cbpf_size(0);
	if (!ebpf_base || !cbpf_base || cbpf_size(200) != cbpf_base + 200) {
		errno = ENOTSUP;
		die("the JIT is off or unexpected");
	}
}

static void load_one(struct program *p)
{
	p->fd = p->classic ? attach_cbpf(p->size - cbpf_base) :
			     load_ebpf(p->size - ebpf_base);
}

static void unload_one(struct program *p)
{
	close(p->fd);
	p->fd = -1;
}

static int nr_held;	/* by load_first() */

static void load_first(int count)
{
	for (; nr_held < count && nr_held < nr_programs; nr_held++)
		load_one(&fleet[nr_held]);
}

static void report(const char *what, uint64_t start, int programs)
{
	printf("@ %s.ns_per_program %llu\n", what,
	       (unsigned long long)(now_ns() - start) / programs);
}

static void load(void)
{
	long small = 0, medium = 0, jited = 0, memory = 0, off = 0, classic = 0;
	uint64_t start = now_ns();
	int i;

	for (i = 0; i < nr_programs; i++)
		load_one(&fleet[i]);
	report("load", start, nr_programs);

	for (i = 0; i < nr_programs; i++) {
		struct program *p = &fleet[i];
		int size = p->classic ? p->size : jited_size(p->fd);

		off += size != p->size;
		classic += p->classic;
		small += size < 500;
		medium += size < 2000;
		jited += size;
		memory += (size + HEADER + CHUNK - 1) / CHUNK * CHUNK;
	}
	printf("@ fleet.programs %d\n@ fleet.classic %ld\n@ fleet.under_500 %ld\n"
	       "@ fleet.under_2000 %ld\n@ fleet.jited_bytes %ld\n"
	       "@ fleet.chunk_bytes %ld\n@ fleet.wrong_size %ld\n",
	       nr_programs, classic, small, medium, jited, memory, off);
}

/* The programs held by load() stay: each churned one is a copy of its own. */
static void churn(int count)
{
	uint64_t start = now_ns();
	int i;

	for (i = 0; i < count; i++) {
		struct program p = fleet[i % nr_programs];

		load_one(&p);
		unload_one(&p);
	}
	report("churn", start, count);
}

static void unload(void)
{
	uint64_t start = now_ns();
	int i;

	for (i = 0; i < (nr_held ? nr_held : nr_programs); i++)
		unload_one(&fleet[i]);
	nr_held = 0;
	report("unload", start, nr_programs);
}

static void sizes(void)
{
	int i;

	for (i = 0; i < nr_programs; i++)
		printf("%s%d", i ? "," : "", fleet[i].size);
	printf("\n");
}

int main(int argc, char **argv)
{
	struct rlimit files = { MAX_PROGRAMS + 64, MAX_PROGRAMS + 64 };
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 3) {
		printf("usage: bpfload FLEET load|first:N|churn:N|unload|sizes|sh:COMMAND...\n");
		return 1;
	}
	read_fleet(argv[1]);
	setrlimit(RLIMIT_NOFILE, &files);

	for (i = 2; i < argc; i++) {
		const char *cmd = argv[i];

		if (!ebpf_base && (!strcmp(cmd, "load") || !strncmp(cmd, "churn:", 6) ||
				   !strncmp(cmd, "first:", 6)))
			calibrate();
		if (!strcmp(cmd, "load"))
			load();
		else if (!strcmp(cmd, "unload"))
			unload();
		else if (!strcmp(cmd, "sizes"))
			sizes();
		else if (!strncmp(cmd, "churn:", 6))
			churn(atoi(cmd + 6));
		else if (!strncmp(cmd, "first:", 6))
			load_first(atoi(cmd + 6));
		else if (strncmp(cmd, "sh:", 3) || system(cmd + 3)) {
			printf("bpfload: command failed: %s\n", cmd);
			return 1;
		}
	}
	return 0;
}

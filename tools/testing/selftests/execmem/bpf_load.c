// SPDX-License-Identifier: GPL-2.0
/*
 * Load BPF programs and keep them loaded, using system calls only.
 *
 *   bpf_load hold NR LEN    load NR programs of LEN instructions
 *   bpf_load classic NR     attach a classic filter to each of NR sockets
 *   bpf_load churn NR LEN   load and unload a program NR times
 *   bpf_load run LEN        load a program and check the value that it computes
 *
 * The first two print "ready" when everything is loaded, and keep it until they
 * are killed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <linux/filter.h>

#define MAX_LEN 4096

static void die(const char *what)
{
	fprintf(stderr, "bpf_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int sys_bpf(int cmd, union bpf_attr *attr)
{
	return syscall(__NR_bpf, cmd, attr, sizeof(*attr));
}

/*
 * Load a program that returns @len - 1: it sets a register and increments it.
 */
static int load_program(int len)
{
	static struct bpf_insn insns[MAX_LEN];
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insns = (unsigned long)insns,
		.insn_cnt = len,
		.license = (unsigned long)"GPL",
	};
	int fd;

	for (int i = 0; i < len; i++)
		insns[i] = (struct bpf_insn) {
			.code = BPF_ALU64 | BPF_ADD | BPF_K,
			.imm = 1,
		};
	insns[0] = (struct bpf_insn) {
		.code = BPF_ALU64 | BPF_MOV | BPF_K,
		.imm = 1,
	};
	insns[len - 1] = (struct bpf_insn) { .code = BPF_JMP | BPF_EXIT };

	fd = sys_bpf(BPF_PROG_LOAD, &attr);
	if (fd < 0)
		die("cannot load a program");
	return fd;
}

static void run_program(int len)
{
	char packet[64] = {};
	union bpf_attr attr = {
		.test = {
			.prog_fd = load_program(len),
			.data_size_in = sizeof(packet),
			.data_in = (unsigned long)packet,
			.repeat = 1,
		},
	};

	if (sys_bpf(BPF_PROG_TEST_RUN, &attr))
		die("cannot run a program");
	if (attr.test.retval != len - 1) {
		fprintf(stderr, "bpf_load: got %u instead of %d\n",
			attr.test.retval, len - 1);
		exit(1);
	}
}

/* Open a socket whose filter truncates received packets to @keep bytes. */
static int open_filtered_socket(int keep, int *peer)
{
	struct sock_filter insn = BPF_STMT(BPF_RET | BPF_K, keep);
	struct sock_fprog prog = { .len = 1, .filter = &insn };
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, fds))
		die("cannot open sockets");
	if (setsockopt(fds[0], SOL_SOCKET, SO_ATTACH_FILTER, &prog,
		       sizeof(prog)))
		die("cannot attach a filter");
	*peer = fds[1];
	return fds[0];
}

static void filter_one_packet(int keep)
{
	char packet[64] = {};
	int peer, fd = open_filtered_socket(keep, &peer);

	if (write(peer, packet, sizeof(packet)) != sizeof(packet))
		die("cannot send");
	if (read(fd, packet, sizeof(packet)) != keep) {
		fprintf(stderr, "bpf_load: the filter did not work\n");
		exit(1);
	}
	close(peer);
}

static void raise_file_limit(int nr)
{
	struct rlimit limit = { .rlim_cur = nr, .rlim_max = nr };

	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("cannot open that many files");
}

static void wait_until_killed(void)
{
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}

static int number(const char *arg, int max)
{
	int nr = arg ? atoi(arg) : 0;

	if (nr < 2 || nr > max) {
		fprintf(stderr, "bpf_load: bad or missing count\n");
		exit(1);
	}
	return nr;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";
	int nr = number(argc > 2 ? argv[2] : NULL, 1 << 20);
	int len;

	raise_file_limit(nr + 64);
	if (!strcmp(verb, "classic")) {
		for (int i = 0; i < nr; i++)
			filter_one_packet(1 + i % 64);
		wait_until_killed();
	}
	if (!strcmp(verb, "run")) {
		run_program(number(argv[2], MAX_LEN));
		return 0;
	}

	len = number(argc > 3 ? argv[3] : NULL, MAX_LEN);
	if (!strcmp(verb, "hold")) {
		while (nr--)
			load_program(len);
		wait_until_killed();
	}
	if (strcmp(verb, "churn")) {
		fprintf(stderr, "bpf_load: unknown verb\n");
		return 1;
	}
	while (nr--)
		close(load_program(len));
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load a BPF program, let it run, and hold it:
 *
 *	bpfhot NAME START SECONDS END
 *
 * It runs for SECONDS when the file START exists, and is unloaded when END exists.
 */
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define INSNS	4000

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int load(const char *name)
{
	static struct bpf_insn insns[INSNS];
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
		.insns = (uintptr_t)insns,
		.insn_cnt = INSNS,
		.license = (uintptr_t)"GPL",
	};
	int fd;

	insns[0] = (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV | BPF_K };
	for (int i = 1; i < INSNS - 1; i++)
		insns[i] = (struct bpf_insn){
			.code = BPF_ALU64 | BPF_ADD | BPF_K, .imm = i,
		};
	insns[INSNS - 1].code = BPF_JMP | BPF_EXIT;
	strncpy(attr.prog_name, name, sizeof(attr.prog_name) - 1);
	fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	if (fd < 0)
		die("BPF_PROG_LOAD");
	return fd;
}

static void run(int fd)
{
	static char data[64];
	union bpf_attr attr = {
		.test.prog_fd = fd,
		.test.data_in = (uintptr_t)data,
		.test.data_size_in = sizeof(data),
		.test.repeat = 1000,
	};

	if (syscall(SYS_bpf, BPF_PROG_TEST_RUN, &attr, sizeof(attr)))
		die("BPF_PROG_TEST_RUN");
}

static void wait_for(const char *file)
{
	while (access(file, F_OK))
		usleep(50000);
}

int main(int argc, char *argv[])
{
	time_t end;
	int fd;

	if (argc != 5)
		return 2;
	fd = load(argv[1]);
	wait_for(argv[2]);
	end = time(NULL) + atoi(argv[3]);
	while (time(NULL) < end)
		run(fd);
	printf("%s ran\n", argv[1]);
	fflush(stdout);
	wait_for(argv[4]);
	return 0;
}

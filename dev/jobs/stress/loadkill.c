// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load a module again and again, and kill the process that loads it, a little later
 * each time, from the system call's begin to its end.  Every other time another
 * process loads a copy of its file at the same time: the victim may have to wait for
 * that one, before it has memory for the module, or with it.  They are called
 * "victim" and "rival".
 *
 *	loadkill MODULE.ko TIMES
 *
 * Prints "@ loadkill.NAME.killed N", how often the process did not see the end of
 * the call.  Status 1: the module cannot be loaded or unloaded.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char name[64];
static int gate[2];	/* a pipe: those who load wait until nobody holds its other end */

static void die(const char *what)
{
	printf("loadkill: %s: %s: %s\n", name, what, strerror(errno));
	exit(1);
}

static void set_name(const char *path)
{
	char *c;

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(path, "."), path);
	for (c = name; *c; c++)
		*c = *c == '-' ? '_' : *c;
}

static long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/* A child that loads the module, as soon as the gate is open */
static pid_t start(const char *path, const char *who)
{
	int begin[2], fd;
	pid_t pid;
	char c;

	fd = open(path, O_RDONLY);
	if (fd < 0 || pipe(begin))
		die("open");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		prctl(PR_SET_NAME, who);
		close(gate[1]);
		if (write(begin[1], "", 1) != 1 || read(gate[0], &c, 1))
			_exit(2);
		_exit(syscall(SYS_finit_module, fd, "", 0) ? 1 : 0);
	}
	if (read(begin[0], &c, 1) != 1)
		die("the child does not begin");
	close(begin[0]);
	close(begin[1]);
	close(fd);
	return pid;
}

static void shut_gate(void)
{
	if (pipe(gate))
		die("pipe");
}

static void open_gate(void)
{
	close(gate[1]);
	close(gate[0]);
}

/* Another file for the kernel, which lets those that load the same one share it */
static const char *copy_of(const char *path)
{
	static char copy[80];
	char bytes[4096];
	int from, to;
	ssize_t n;

	snprintf(copy, sizeof(copy), "/tmp/%s.copy", name);
	from = open(path, O_RDONLY);
	to = open(copy, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (from < 0 || to < 0)
		die("copy");
	while ((n = read(from, bytes, sizeof(bytes))) > 0)
		if (write(to, bytes, n) != n)
			die("copy");
	close(from);
	close(to);
	return copy;
}

/* 1: the module was there and is gone; 0: it was not there */
static int unload(void)
{
	if (!syscall(SYS_delete_module, name, O_NONBLOCK))
		return 1;
	if (errno != ENOENT)
		die("does not unload");
	return 0;
}

static void kill_after(pid_t pid, long long ns)
{
	long long end = now() + ns;

	while (now() < end)
		;
	kill(pid, SIGKILL);
}

int main(int argc, char **argv)
{
	int status, i, times, killed = 0;
	pid_t pid, rival;
	const char *copy;
	long long whole;

	if (argc < 3)
		return 2;
	set_name(argv[1]);
	times = atoi(argv[2]);
	copy = copy_of(argv[1]);

	shut_gate();
	pid = start(argv[1], "victim");
	whole = now();
	open_gate();
	waitpid(pid, &status, 0);
	whole = now() - whole;
	if (!unload())
		die("does not load");

	for (i = 0; i < times; i++) {
		shut_gate();
		rival = i % 2 ? start(copy, "rival") : 0;
		pid = start(argv[1], "victim");
		open_gate();
		kill_after(pid, whole * i / times);
		waitpid(pid, &status, 0);
		killed += WIFSIGNALED(status);
		if (rival)
			waitpid(rival, &status, 0);
		unload();
	}
	printf("@ loadkill.%s.killed %d\n", name, killed);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load a module again and again, each time with one more of the kernel's
 * allocations successful before one fails, until none is left to fail.
 *
 *	loadfail MODULE.ko [PARAMETERS]
 *
 * Prints "@ loadfail.NAME.allocations N": how many allocations were failed, and
 * "@ loadfail.NAME.failed N": for how many of these loading failed.  With which
 * error is up to the module's init, too.  A module that is left behind, and one
 * that always loads, end in status 1.  The allocations that can fail are those
 * of /sys/kernel/debug/fail*; see the guest beside this.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LIMIT	10000		/* allocations; no module has as many */

static char name[64];

static void die(const char *what, int nth)
{
	printf("loadfail: %s: %s at allocation %d: %s\n", name, what, nth,
	       strerror(errno));
	exit(1);
}

static void set_name(const char *path)
{
	const char *base = strrchr(path, '/');
	char *c;

	snprintf(name, sizeof(name), "%s", base ? base + 1 : path);
	c = strstr(name, ".ko");
	if (c)
		*c = '\0';
	for (c = name; *c; c++)
		*c = *c == '-' ? '_' : *c;
}

/* Let the nth allocation from now on fail; 0: none. */
static void fail_nth(int fd, int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", nth);
	if (pwrite(fd, text, strlen(text), 0) < 0)
		die("fail-nth", nth);
}

/* How many allocations are still to come before the one that fails */
static int not_yet(int fd)
{
	char text[16] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) < 0)
		die("fail-nth", 0);
	return atoi(text);
}

int main(int argc, char **argv)
{
	int nth, left, failed = 0, fd, module;
	long error;

	if (argc < 2)
		return 2;
	set_name(argv[1]);
	fd = open("/proc/self/fail-nth", O_RDWR);
	module = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0 || module < 0)
		die("open", 0);

	for (nth = 1; nth < LIMIT; nth++) {
		fail_nth(fd, nth);
		error = syscall(SYS_finit_module, module, argc > 2 ? argv[2] : "", 0);
		error = error ? errno : 0;
		left = not_yet(fd);
		fail_nth(fd, 0);
		errno = error;
		if (error == EEXIST)
			die("load", nth);
		if (!error && syscall(SYS_delete_module, name, 0))
			die("unload", nth);
		failed += error != 0;
		if (left)
			break;
	}
	printf("@ loadfail.%s.allocations %d\n", name, nth - 1);
	printf("@ loadfail.%s.failed %d\n", name, failed);
	return nth == LIMIT || !failed;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load modules, or unload them, and say how much processor time that took.
 *
 *	modload load NAME...		NAME.ko, or NAME.ko.xz, in this order
 *	modload unload NAME...		backwards, until none goes any more
 *
 * Prints
 *
 *	@ modules.load.count N		how many
 *	@ modules.load.ns N		processor time of this thread for them
 *	@ modules.load.longest_ns N	of these, for the one that took longest
 *	@ modules.load.busy_ms N	of the machine meanwhile, to 10 ms
 *	@ modules.load.longest NAME	which one that is
 *
 * or the same with "unload".
 *
 * On one CPU under "-icount shift=0" a nanosecond is an instruction.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/module.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SEC	1000000000LL

struct total {
	const char *slowest;
	long long ns, max;
	int modules;
};

static long long now(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * SEC + ts.tv_nsec;
}

static long long idle(void)
{
	FILE *f = fopen("/proc/uptime", "r");
	double up, idle = 0;

	if (!f || fscanf(f, "%lf %lf", &up, &idle) != 2)
		perror("/proc/uptime");
	if (f)
		fclose(f);
	return idle * SEC;
}

static int load(const char *name)
{
	char path[128];
	int fd, err, flags = 0;

	snprintf(path, sizeof(path) - sizeof(".xz"), "%s.ko", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		strcat(path, ".xz");
		fd = open(path, O_RDONLY | O_CLOEXEC);
		flags = MODULE_INIT_COMPRESSED_FILE;
	}
	if (fd < 0)
		return -1;
	err = syscall(SYS_finit_module, fd, "", flags);
	close(fd);
	return err;
}

static int unload(const char *name)
{
	char module[128], *c;

	snprintf(module, sizeof(module), "%s", name);
	for (c = module; *c; c++)
		*c = *c == '-' ? '_' : *c;
	return syscall(SYS_delete_module, module, O_NONBLOCK);
}

static int count(struct total *total, int (*call)(const char *), const char *name)
{
	long long start = now(CLOCK_THREAD_CPUTIME_ID), ns;

	if (call(name))
		return -1;
	ns = now(CLOCK_THREAD_CPUTIME_ID) - start;
	total->ns += ns;
	total->modules++;
	if (ns > total->max) {
		total->max = ns;
		total->slowest = name;
	}
	return 0;
}

static int load_all(struct total *total, char **names, int nr)
{
	int bad = 0, i;

	for (i = 0; i < nr; i++) {
		if (count(total, load, names[i]) && errno != EEXIST) {
			printf("modload: %s: %s\n", names[i], strerror(errno));
			bad = 1;
		}
	}
	return bad;
}

/* What one holds may be let go late, so those that stay are asked again. */
static int unload_all(struct total *total, char **names, int nr)
{
	int going, i;

	do {
		going = 0;
		for (i = nr - 1; i >= 0; i--) {
			if (names[i] && !count(total, unload, names[i])) {
				names[i] = NULL;
				going = 1;
			}
		}
	} while (going);
	return 0;
}

int main(int argc, char **argv)
{
	struct total total = { .slowest = "none" };
	long long start, was_idle;
	int bad;

	if (argc < 3)
		return 2;
	was_idle = idle();
	start = now(CLOCK_MONOTONIC);
	bad = (!strcmp(argv[1], "load") ? load_all : unload_all)(&total, argv + 2, argc - 2);
	start = (now(CLOCK_MONOTONIC) - start) * sysconf(_SC_NPROCESSORS_ONLN);
	was_idle = idle() - was_idle;

	printf("@ modules.%s.count %d\n", argv[1], total.modules);
	printf("@ modules.%s.ns %lld\n", argv[1], total.ns);
	printf("@ modules.%s.longest_ns %lld\n", argv[1], total.max);
	printf("@ modules.%s.busy_ms %lld\n", argv[1], (start - was_idle) / 1000000);
	printf("@ modules.%s.longest %s\n", argv[1], total.slowest);
	return bad;
}

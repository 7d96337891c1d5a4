// SPDX-License-Identifier: GPL-2.0-only
/*
 * First process of guests without a busybox (arm64): mounts, loads the modules
 * named in /run-job ("NAME [PARAMETERS]" per line), reports what they said in
 * their summary, stops the machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int load(char *line)
{
	char *params = strchr(line, ' ');
	char path[sizeof("/job/") + 1024];
	int fd, ret;

	if (params)
		*params++ = '\0';
	snprintf(path, sizeof(path), "/job/%s", line);
	fd = open(path, O_RDONLY);
	ret = fd < 0 ? -1 : syscall(SYS_finit_module, fd, params ? params : "", 0);
	printf("@ insmod %s: %s\n", line, ret ? strerror(errno) : "ok");
	if (fd >= 0)
		close(fd);
	return ret;
}

/* One read is one record, "priority,sequence,time,flags;text". */
static void print_summaries(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	char record[8192];
	ssize_t len;

	for (;;) {
		char *text;

		len = read(fd, record, sizeof(record) - 1);
		if (len < 0 && errno == EPIPE)	/* overwritten meanwhile */
			continue;
		if (len <= 0)
			break;
		record[len] = '\0';
		text = strchr(record, ';');
		if (text && strstr(text, ": Summary:"))
			printf("@ %.*s\n", (int)strcspn(text + 1, "\n"), text + 1);
	}
	close(fd);
}

int main(void)
{
	char line[1024];
	int failed = 0;
	FILE *job;

	setvbuf(stdout, NULL, _IOLBF, 0);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	mount("debug", "/sys/kernel/debug", "debugfs", 0, NULL);
	mount("tracing", "/sys/kernel/tracing", "tracefs", 0, NULL);

	job = fopen("/run-job", "r");
	while (job && fgets(line, sizeof(line), job)) {
		line[strcspn(line, "\n")] = '\0';
		failed |= load(line);
	}
	print_summaries();
	printf("VERDICT %s\nEXIT %d\n", failed || !job ? "fail" : "ok", !!failed);
	fflush(stdout);
	usleep(100 * 1000);	/* let the serial port drain */
	reboot(RB_POWER_OFF);
	return 0;
}

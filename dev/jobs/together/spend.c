// SPDX-License-Identifier: GPL-2.0-only
/*
 * Write a word to a file, and say how much processor time of this thread it took.
 *
 *	spend WORD FILE
 *
 * Prints "@ spent.WORD NANOSECONDS".
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static long long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

int main(int argc, char **argv)
{
	int fd = argc == 3 ? open(argv[2], O_WRONLY) : -1;
	long long start = now();

	if (fd < 0 || write(fd, argv[1], strlen(argv[1])) < 0) {
		perror("spend");
		return 1;
	}
	printf("@ spent.%s %lld\n", argv[1], now() - start);
	return 0;
}

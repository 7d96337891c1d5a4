// SPDX-License-Identifier: GPL-2.0
/*
 * Show how much memory dynamic kernel code uses, and where.
 *
 * Reads files in debugfs, see Documentation/mm/execmem.rst.
 */
#include <errno.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#define DEBUGFS		"/sys/kernel/debug"
#define DEFAULT_DIR	DEBUGFS "/execmem"

#define KB		1024ull
#define MB		(1024 * KB)

/*
 * Values in a line of stats. print_small_blocks() needs FALLBACKS to
 * SMALL_START.
 */
enum value {
	RESERVED, USED, LARGEST_FREE, CHUNKS, BLOCKS_HUGE, BLOCKS_BASE, SPARE,
	GROWN, FALLBACKS, NOT_HUGE, NO_ROOM, SPLIT, SMALL_START, FAILURES,
	RESTING, CHUNKS_RESTING, REST_WRITES, HELD, CHUNKS_HELD, NR_VALUES
};

static const char * const keys[NR_VALUES] = {
	[RESERVED]	= "reserved",
	[USED]		= "used",
	[LARGEST_FREE]	= "largest_free",
	[CHUNKS]	= "chunks",
	[BLOCKS_HUGE]	= "blocks_huge",
	[BLOCKS_BASE]	= "blocks_base",
	[SPARE]		= "spare",
	[GROWN]		= "grown",
	[FALLBACKS]	= "fallbacks",
	[NOT_HUGE]	= "not_huge",
	[NO_ROOM]	= "no_room",
	[SPLIT]		= "split",
	[SMALL_START]	= "small_start",
	[FAILURES]	= "failures",
	[RESTING]	= "resting",
	[CHUNKS_RESTING] = "chunks_resting",
	[REST_WRITES]	= "rest_writes",
	[HELD]		= "held",
	[CHUNKS_HELD]	= "chunks_held",
};

struct pool {
	char name[32];
	unsigned long long value[NR_VALUES];
};

static const char *dir = DEFAULT_DIR;
static bool in_bytes, all_types;

#define die(fmt, ...)							\
do {									\
	fflush(stdout);							\
	fprintf(stderr, "execmem: " fmt "\n", ##__VA_ARGS__);		\
	exit(1);							\
} while (0)

/* === Reading ============================================================== */

static bool debugfs_is_mounted(void)
{
	struct statfs fs;

	return !statfs(DEBUGFS, &fs) && fs.f_type == DEBUGFS_MAGIC;
}

/* Why a file cannot be opened, and what to do about it */
static const char *explain(int err)
{
	if (err == EACCES)
		return "no permission, run this as root";
	if (err == EPERM)
		return "no permission, the kernel is locked down";
	if (err != ENOENT || strcmp(dir, DEFAULT_DIR))
		return strerror(err);
	if (!debugfs_is_mounted())
		return "mount debugfs first: mount -t debugfs none " DEBUGFS;
	return "not in this kernel, it has no statistics of execmem";
}

static FILE *try_open(const char *name)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= PATH_MAX)
		die("%s: %s", dir, strerror(ENAMETOOLONG));
	return fopen(path, "r");
}

static FILE *open_file(const char *name)
{
	FILE *file = try_open(name);

	if (!file)
		die("%s/%s: %s", dir, name, explain(errno));
	return file;
}

/*
 * Read a line without its newline; %NULL at the end. Valid until the next call.
 */
static char *read_line(FILE *file, const char *name)
{
	static char *line;
	static size_t size;

	errno = 0;
	if (getline(&line, &size, file) < 0) {
		if (errno)
			die("%s/%s: %s", dir, name, strerror(errno));
		return NULL;
	}
	line[strcspn(line, "\n")] = '\0';
	return line;
}

/* Unknown keys are ignored: a newer kernel may have more of them. */
static void set_value(struct pool *pool, const char *key, const char *value)
{
	for (int i = 0; i < NR_VALUES; i++)
		if (!strcmp(key, keys[i]))
			pool->value[i] = strtoull(value, NULL, 10);
}

static bool parse_pool(char *line, struct pool *pool)
{
	char *colon = strchr(line, ':'), *key, *value;

	*pool = (struct pool) {};
	if (!colon || sscanf(line, "pool %31[^:]", pool->name) != 1)
		return false;
	strtok(colon, " ");
	while ((key = strtok(NULL, " ")) && (value = strtok(NULL, " ")))
		set_value(pool, key, value);
	return true;
}

/* === Types ================================================================ */

/* Print a size right-aligned, in at least @width characters. */
static void print_size(unsigned long long size, int width)
{
	if (in_bytes || size < KB)
		printf("%*llu", width, size);
	else if (size < MB)
		printf("%*.1fK", width - 1, (double)size / KB);
	else
		printf("%*.1fM", width - 1, (double)size / MB);
}

static unsigned long long percent_used(struct pool *pool)
{
	return pool->value[USED] * 100 / pool->value[RESERVED];
}

static void print_header(void)
{
	printf("%-21s%10s%10s%5s%10s%7s%6s%6s%6s%7s\n", "type", "reserved",
	       "used", "", "max free", "chunks", "huge", "base", "spare",
	       "failed");
}

static void print_row(struct pool *pool)
{
	unsigned long long *value = pool->value;

	printf("%-21s", pool->name);
	print_size(value[RESERVED], 10);
	print_size(value[USED], 10);
	if (value[RESERVED])
		printf("%4llu%%", percent_used(pool));
	else
		printf("%5s", "-");
	print_size(value[LARGEST_FREE], 10);
	printf("%7llu%6llu%6llu%6llu%7llu\n", value[CHUNKS], value[BLOCKS_HUGE],
	       value[BLOCKS_BASE], value[SPARE], value[FAILURES]);
}

/* Print how many blocks were smaller than the type asks for, and why. */
static void print_small_blocks(struct pool *pool)
{
	const char *before = "  since boot:";

	for (int i = FALLBACKS; i <= SMALL_START; i++) {
		if (!pool->value[i])
			continue;
		printf("%s %s %llu", before, keys[i], pool->value[i]);
		before = ",";
	}
	if (*before == ',')
		putchar('\n');
}

/* Print how much of the used memory rests, and mistakes that were found there. */
static void print_rests(struct pool *pool)
{
	unsigned long long *value = pool->value;

	if (!value[RESTING] && !value[REST_WRITES])
		return;
	printf("  resting: ");
	print_size(value[RESTING], 1);
	printf(" in %llu chunks, written to since boot: %llu\n",
	       value[CHUNKS_RESTING], value[REST_WRITES]);
}

/* Print how much memory is kept since somebody refers to its pages. */
static void print_held(struct pool *pool)
{
	if (!pool->value[HELD])
		return;
	printf("  held by references to pages: ");
	print_size(pool->value[HELD], 1);
	printf(" in %llu chunks\n", pool->value[CHUNKS_HELD]);
}

/* A type that never had memory and never failed is not shown without -a. */
static bool is_idle(struct pool *pool)
{
	return !pool->value[RESERVED] && !pool->value[GROWN] &&
		!pool->value[FAILURES];
}

static void show_types(struct pool *total)
{
	FILE *file = open_file("stats");
	struct pool pool;
	bool any = false;
	char *line;

	while ((line = read_line(file, "stats"))) {
		if (!parse_pool(line, &pool))
			continue;
		if (!any)
			print_header();
		any = true;
		for (int i = 0; i < NR_VALUES; i++)
			total->value[i] += pool.value[i];
		if (!all_types && is_idle(&pool))
			continue;
		print_row(&pool);
		print_small_blocks(&pool);
		print_rests(&pool);
		print_held(&pool);
	}
	fclose(file);
	if (!any)
		die("%s/stats lists no types, dmesg should tell why", dir);
}

/* === Blocks =============================================================== */

/*
 * A line that cannot be parsed is from a newer kernel, and is printed as it is.
 */
static void print_block(const char *line)
{
	const char *parts = strchr(line, '[');
	char type[32], address[32], leaf[8];
	unsigned long long kb, chunks;
	unsigned int percent;

	if (!parts || sscanf(line, "%31s %31s %lluK %7s %u%% %llu", type,
			     address, &kb, leaf, &percent, &chunks) != 6) {
		printf("%s\n", line);
		return;
	}
	printf("%-21s%s ", type, address);
	print_size(kb * KB, 10);
	printf(" %-4s used %3u%% chunks %llu\n  %s\n", leaf, percent, chunks,
	       parts);
}

static void show_blocks(void)
{
	FILE *file = try_open("map");
	bool any = false;
	char *line;

	if (!file)
		die("%s/map: %s", dir, explain(errno));
	while ((line = read_line(file, "map"))) {
		if (*line == '#')
			continue;
		if (!any)
			printf("\nblocks: . not in use, 1 to 9 tenths in use, # full\n");
		any = true;
		print_block(line);
	}
	fclose(file);
}

/* === All of it ============================================================ */

static void print_summary(struct pool *total)
{
	unsigned long long *value = total->value;

	putchar('\n');
	print_size(value[USED], 1);
	printf(" used of ");
	print_size(value[RESERVED], 1);
	if (value[RESERVED])
		printf(" (%llu%%)", percent_used(total));
	printf(", chunks %llu, blocks %llu huge, %llu base\n", value[CHUNKS],
	       value[BLOCKS_HUGE], value[BLOCKS_BASE]);
}

static void show_all(void)
{
	struct pool total = {};

	show_types(&total);
	show_blocks();
	print_summary(&total);
}

static void watch(unsigned int seconds)
{
	const char *between = isatty(STDOUT_FILENO) ? "\033[H\033[J" : "";

	/* Write each picture at once, to avoid flicker. */
	setvbuf(stdout, NULL, _IOFBF, 64 * KB);
	for (;;) {
		printf("%s", between);
		show_all();
		fflush(stdout);
		if (!*between)
			between = "\n";
		sleep(seconds);
	}
}

static void usage(FILE *to)
{
	fprintf(to, "Usage: execmem [-a] [-b] [-d DIR] [-w SECONDS]\n"
		"Show how full the kernel's memory for dynamic code is.\n"
		"  -a          also types that never had memory\n"
		"  -b          sizes in bytes\n"
		"  -d DIR      read DIR/stats and DIR/map, not those in\n"
		"              " DEFAULT_DIR "\n"
		"  -h          this help\n"
		"  -w SECONDS  repeat until interrupted\n");
}

static unsigned int parse_seconds(const char *arg)
{
	unsigned long seconds;
	char *end;

	seconds = strtoul(arg, &end, 10);
	if (*end || !seconds || seconds > INT_MAX)
		die("-w takes a number of seconds, not '%s'", arg);
	return seconds;
}

int main(int argc, char **argv)
{
	unsigned int seconds = 0;
	int opt;

	while ((opt = getopt(argc, argv, "abd:hw:")) != -1) {
		switch (opt) {
		case 'a':
			all_types = true;
			break;
		case 'b':
			in_bytes = true;
			break;
		case 'd':
			dir = optarg;
			break;
		case 'h':
			usage(stdout);
			return 0;
		case 'w':
			seconds = parse_seconds(optarg);
			break;
		default:
			usage(stderr);
			return 1;
		}
	}
	if (optind != argc)
		die("unexpected argument '%s', try -h", argv[optind]);
	if (seconds)
		watch(seconds);
	show_all();
	return 0;
}

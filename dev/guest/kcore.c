// SPDX-License-Identifier: GPL-2.0-only
/*
 * Print the byte at a kernel address, in hex, as /proc/kcore has it.
 *
 *	kcore ADDRESS
 */
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	unsigned long addr;
	Elf64_Ehdr elf;
	Elf64_Phdr ph;
	unsigned char byte;
	int fd, i;

	if (argc != 2)
		return 2;
	addr = strtoul(argv[1], NULL, 16);
	fd = open("/proc/kcore", O_RDONLY);
	if (fd < 0 || pread(fd, &elf, sizeof(elf), 0) != sizeof(elf)) {
		perror("/proc/kcore");
		return 1;
	}
	for (i = 0; i < elf.e_phnum; i++) {
		if (pread(fd, &ph, sizeof(ph), elf.e_phoff + i * sizeof(ph)) != sizeof(ph))
			break;
		if (ph.p_type != PT_LOAD || addr - ph.p_vaddr >= ph.p_memsz)
			continue;
		if (pread(fd, &byte, 1, ph.p_offset + addr - ph.p_vaddr) != 1)
			break;
		printf("%02x\n", byte);
		return 0;
	}
	printf("/proc/kcore does not have %lx\n", addr);
	return 1;
}

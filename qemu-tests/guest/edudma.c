// SPDX-License-Identifier: GPL-2.0
/*
 * Let QEMU's edu device copy between our memory and any bus address, such as that of another
 * device's BAR.
 *
 *   edudma EDU to|from FILE ADDRESS
 *
 * EDU is the device's folder in sysfs. The size of FILE is the length (for "from", too), and
 * must be a multiple of the page size. Each page is copied through the device's own memory in
 * two transfers, without any CPU.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define BAR_SIZE 0x100000

/* QEMU's docs/specs/edu.rst */
#define DMA_SRC 0x80
#define DMA_DST 0x88
#define DMA_COUNT 0x90
#define DMA_CMD 0x98
#define DMA_START 1
#define DMA_TO_MEMORY 2
#define BUF 0x40000

static int open_in(const char *folder, const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDWR);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static volatile char *map_bar(const char *device)
{
	int config = open_in(device, "config");
	uint16_t command;
	void *bar;

	if (pread(config, &command, sizeof(command), PCI_COMMAND) != sizeof(command))
		err(1, "config space");
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	if (pwrite(config, &command, sizeof(command), PCI_COMMAND) != sizeof(command))
		err(1, "config space");
	close(config);
	bar = mmap(NULL, BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		   open_in(device, "resource0"), 0);
	if (bar == MAP_FAILED)
		err(1, "mmap resource0");
	return bar;
}

/* Bit 63 of an entry says that the page is present, the low bits are its PFN. */
static uint64_t physical(const void *page)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry;

	if (fd < 0 || pread(fd, &entry, sizeof(entry), (uintptr_t)page / PAGE * sizeof(entry)) !=
	    sizeof(entry))
		err(1, "pagemap");
	close(fd);
	if (!(entry >> 63) || !(entry << 9))
		errx(1, "pagemap does not tell the address of the page");
	return (entry & ((1ull << 55) - 1)) * PAGE;
}

static void set(volatile char *bar, unsigned int reg, uint64_t value)
{
	*(volatile uint64_t *)(bar + reg) = value;
}

static void dma(volatile char *bar, uint64_t src, uint64_t dst, uint64_t flags)
{
	time_t end = time(NULL) + 30;

	set(bar, DMA_SRC, src);
	set(bar, DMA_DST, dst);
	set(bar, DMA_COUNT, PAGE);
	set(bar, DMA_CMD, flags | DMA_START);
	while (*(volatile uint64_t *)(bar + DMA_CMD) & DMA_START) {
		if (time(NULL) > end)
			errx(1, "a transfer does not end");
		usleep(1000);
	}
}

int main(int argc, char **argv)
{
	uint64_t address, memory;
	volatile char *bar;
	struct stat stat;
	char *page;
	int file, to;

	if (argc != 5)
		errx(2, "usage: %s EDU to|from FILE ADDRESS", argv[0]);
	bar = map_bar(argv[1]);
	to = !strcmp(argv[2], "to");
	file = open(argv[3], O_RDWR);
	if (file < 0 || fstat(file, &stat))
		err(1, "%s", argv[3]);
	address = strtoull(argv[4], NULL, 0);

	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED || mlock(page, PAGE))
		err(1, "memory");
	memory = physical(page);

	for (off_t at = 0; at < stat.st_size; at += PAGE) {
		if (pread(file, page, PAGE, at) != PAGE)
			err(1, "%s", argv[3]);
		dma(bar, to ? memory : address + at, BUF, 0);
		dma(bar, BUF, to ? address + at : memory, DMA_TO_MEMORY);
		if (pwrite(file, page, PAGE, at) != PAGE)
			err(1, "%s", argv[3]);
	}
	return 0;
}

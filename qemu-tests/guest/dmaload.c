// SPDX-License-Identifier: GPL-2.0
/*
 * Keep edu-mig busy, and know the expected value of each byte that it can access.
 *
 *   dmaload EDU MIB ANSWERS
 *
 * EDU is the device's folder in sysfs. Memory consists of blocks, whose contents follow from a
 * number, the version. The CPU makes blocks with new versions in its own memory, from where the
 * device fetches them into its memory. The device writes other blocks of its memory to an area of
 * MIB that only the device ever writes. Blocks are checked before they are overwritten, and after
 * they were written, so that any page or byte of the device that reverts to an old version is
 * detected. If the device is bound to uio-edu-mig, an interrupt signals the end of a command, and
 * if one is lost, this times out.
 *
 * On SIGUSR1, all of the area and of the device's memory is checked, and a line is added to
 * ANSWERS: "ok", bytes moved, commands and interrupts. The first wrong block ends the program,
 * with a line that begins with "not ok".
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <glob.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define HUGE_PAGE (2u << 20)
#define BLOCK 512
#define WORDS (BLOCK / 8)
#define HUGE_BLOCKS (HUGE_PAGE / BLOCK)
/* Sizes of a command: some are done in several pieces, and can be stopped between them. */
#define MOST_BLOCKS (256 * 1024 / BLOCK)
#define SHORT_BLOCKS (32 * 1024 / BLOCK)

/* The contract of edu-mig: qemu-tests/qemu-patches/0007-edu-mig.patch */
#define BAR_MEMORY 4
#define ID 0x00
#define ID_VALUE 0x00010ea5
#define STATUS 0x04
#define STATUS_BUSY 1
#define STATUS_FAILED 2
#define ADDR 0x08
#define OFFSET 0x10
#define LENGTH 0x14
#define COMMAND 0x18
#define COMMAND_START 1
#define COMMAND_TO_BUS 2
#define COMMAND_IRQ 4
#define DELAY 0x1c
#define SEQ 0x28
#define SIZE 0x2c

/*
 * A pause between two commands, as the host's CPUs have other things to do, too. And the size of
 * the part of the device's memory that gets new blocks at a time: if everything changed all the
 * time, migration would never converge.
 */
#define NAP_US 5000
#define HOT_BLOCKS (2 * MOST_BLOCKS)
#define COMMAND_SECONDS 120

static const char *answers;
static volatile sig_atomic_t asked;

static volatile uint32_t *regs;
static volatile uint64_t *bar_memory;
static uint32_t device_blocks, *device_versions, hot;
static uint32_t seq;
static uint64_t moved, interrupts;
/* The file that reports interrupts, or -1 */
static int uio = -1;

static char *area;
static uint32_t area_blocks, *area_versions;
static uint64_t *area_addresses;

/* Where the CPU makes new blocks, and where the device writes its memory to be checked */
static char *scratch;
static uint64_t scratch_address;

static uint32_t last_version;

static void answer(const char *format, ...)
{
	int fd = open(answers, O_WRONLY | O_APPEND | O_CREAT, 0644);
	va_list args;

	va_start(args, format);
	vdprintf(fd, format, args);
	va_end(args);
	close(fd);
}

#define fail(format, ...)						\
	do {								\
		answer("not ok: " format "\n", ##__VA_ARGS__);		\
		exit(1);						\
	} while (0)

static uint32_t below(uint32_t limit)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 32) * limit >> 32;
}

/* The first word is the version itself, to identify wrong blocks. */
static uint64_t word(uint32_t version, unsigned int number)
{
	if (!number || !version)
		return version;
	return ((uint64_t)version << 32 | number) * 0x9e3779b97f4a7c15;
}

static void check_block(const char *where, uint32_t number, const volatile uint64_t *block,
			uint32_t version)
{
	for (unsigned int i = 0; i < WORDS; i++)
		if (block[i] != word(version, i))
			fail("%s, block %u: word %u is %#llx (version %llu), not %#llx (%u)", where,
			     number, i, (unsigned long long)block[i], (unsigned long long)block[0],
			     (unsigned long long)word(version, i), version);
}

static void check_area(uint32_t first, uint32_t nr)
{
	for (uint32_t i = first; i < first + nr; i++)
		check_block("the area", i, (void *)(area + (size_t)i * BLOCK), area_versions[i]);
}

static int open_in(const char *folder, const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_RDWR);
	if (fd < 0)
		fail("%s: %m", path);
	return fd;
}

static void *map_bar(const char *device, unsigned int number, size_t size)
{
	char name[16];
	void *bar;
	int fd;

	snprintf(name, sizeof(name), "resource%u", number);
	fd = open_in(device, name);
	bar = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (bar == MAP_FAILED)
		fail("mmap %s: %m", name);
	close(fd);
	return bar;
}

static void enable(const char *device)
{
	int config = open_in(device, "config");
	uint16_t command;

	if (pread(config, &command, sizeof(command), PCI_COMMAND) != sizeof(command))
		fail("config space: %m");
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	if (pwrite(config, &command, sizeof(command), PCI_COMMAND) != sizeof(command))
		fail("config space: %m");
	close(config);
}

static void open_uio(const char *device)
{
	char path[256];
	glob_t found;

	snprintf(path, sizeof(path), "%s/uio/uio*", device);
	if (glob(path, 0, NULL, &found))
		return;
	snprintf(path, sizeof(path), "/dev/%s", strrchr(found.gl_pathv[0], '/') + 1);
	uio = open(path, O_RDWR);
	if (uio < 0)
		fail("%s: %m", path);
	globfree(&found);
}

/* Huge pages are contiguous for a device, and are not moved. */
static char *huge_pages(uint32_t nr, uint64_t *addresses)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	char *memory = mmap(NULL, (size_t)nr * HUGE_PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		fail("%u huge pages: %m", nr);
	for (uint32_t i = 0; i < nr; i++) {
		const char *page = memory + (size_t)i * HUGE_PAGE;
		uint64_t entry;

		/* Bit 63 of an entry says that the page is present, the low bits are its PFN. */
		if (pread(fd, &entry, sizeof(entry), (uintptr_t)page / PAGE * sizeof(entry)) !=
		    sizeof(entry) || !(entry >> 63) || !(entry << 9))
			fail("pagemap does not tell the address of a page");
		addresses[i] = (entry & ((1ull << 55) - 1)) * PAGE;
	}
	close(fd);
	return memory;
}

/* Wait until something may have changed. */
static void wait_a_moment(time_t end)
{
	struct pollfd pollfd = { .fd = uio, .events = POLLIN };
	uint32_t total;

	if (time(NULL) > end)
		fail("after command %u: no %s, status %#x", seq, uio < 0 ? "end" : "interrupt",
		     regs[STATUS / 4]);
	if (uio < 0)
		usleep(100);
	else if (poll(&pollfd, 1, 1000) == 1 && read(uio, &total, sizeof(total)) == sizeof(total))
		interrupts++;
}

static void run_command(uint64_t address, uint32_t device_block, uint32_t nr, uint32_t flags,
			uint32_t delay)
{
	time_t end = time(NULL) + COMMAND_SECONDS;
	uint64_t before = interrupts;
	uint32_t status;

	regs[ADDR / 4] = address;
	regs[ADDR / 4 + 1] = address >> 32;
	regs[OFFSET / 4] = device_block * BLOCK;
	regs[LENGTH / 4] = nr * BLOCK;
	regs[DELAY / 4] = delay;
	regs[COMMAND / 4] = COMMAND_START | flags | (uio < 0 ? 0 : COMMAND_IRQ);
	/* After a migration, there may be an extra interrupt, but none may be missing. */
	do {
		wait_a_moment(end);
		status = regs[STATUS / 4];
	} while (status & STATUS_BUSY || (uio >= 0 && interrupts == before));
	seq++;
	if (status || regs[SEQ / 4] != seq)
		fail("command %u: status %#x, but the device has counted %u", seq, status,
		     regs[SEQ / 4]);
	moved += nr * BLOCK;
}

/* The delay of a piece */
static uint32_t some_delay(void)
{
	return below(2) ? 10 : below(2) ? 1000 : 10000;
}

static uint32_t some_blocks(void)
{
	return 1 + below(below(16) ? SHORT_BLOCKS : MOST_BLOCKS);
}

/* The device fetches new blocks from the CPU's memory. */
static void fetch(void)
{
	uint32_t nr = some_blocks(), to = hot + below(HOT_BLOCKS - nr + 1);
	uint32_t from = below(HUGE_BLOCKS - nr + 1);
	uint64_t *words = (uint64_t *)(scratch + from * BLOCK);

	if (!below(64))
		hot = below(device_blocks - HOT_BLOCKS + 1);
	for (uint32_t i = 0; i < nr; i++) {
		device_versions[to + i] = ++last_version;
		for (unsigned int k = 0; k < WORDS; k++)
			*words++ = word(last_version, k);
	}
	run_command(scratch_address + from * BLOCK, to, nr, 0, some_delay());
}

/* The device writes blocks of its memory to the area. */
static void give(void)
{
	uint32_t nr = some_blocks(), from = below(device_blocks - nr + 1);
	uint32_t page = below(area_blocks / HUGE_BLOCKS), at = below(HUGE_BLOCKS - nr + 1);
	uint32_t to = page * HUGE_BLOCKS + at;

	check_area(to, nr);
	run_command(area_addresses[page] + at * BLOCK, from, nr, COMMAND_TO_BUS, some_delay());
	memcpy(area_versions + to, device_versions + from, nr * sizeof(*area_versions));
	check_area(to, nr);
}

/* The CPU checks a block in the device's memory, and makes a new one. */
static void touch(void)
{
	uint32_t number = below(device_blocks);
	volatile uint64_t *block = bar_memory + number * WORDS;

	check_block("BAR 4", number, block, device_versions[number]);
	number = hot + below(HOT_BLOCKS);
	block = bar_memory + number * WORDS;
	device_versions[number] = ++last_version;
	for (unsigned int i = 0; i < WORDS; i++)
		block[i] = word(last_version, i);
	check_block("BAR 4", number, block, device_versions[number]);
}

static void check_all(void)
{
	check_area(0, area_blocks);
	for (uint32_t first = 0; first < device_blocks; first += MOST_BLOCKS) {
		uint32_t nr = device_blocks - first < MOST_BLOCKS ? device_blocks - first :
								    MOST_BLOCKS;

		run_command(scratch_address, first, nr, COMMAND_TO_BUS, 10);
		for (uint32_t i = 0; i < nr; i++)
			check_block("the device", first + i, (void *)(scratch + i * BLOCK),
				    device_versions[first + i]);
	}
}

static void ask(int number)
{
	(void)number;
	asked++;
}

int main(int argc, char **argv)
{
	int answered = 0;
	uint32_t pages;

	if (argc != 4)
		return 2;
	answers = argv[3];
	pages = atoi(argv[2]) * (1u << 20) / HUGE_PAGE;
	enable(argv[1]);
	regs = map_bar(argv[1], 0, PAGE);
	if (regs[ID / 4] != ID_VALUE)
		fail("the device's ID is %#x", regs[ID / 4]);
	device_blocks = regs[SIZE / 4] / BLOCK;
	bar_memory = map_bar(argv[1], BAR_MEMORY, device_blocks * BLOCK);
	device_versions = calloc(device_blocks, sizeof(*device_versions));
	seq = regs[SEQ / 4];
	open_uio(argv[1]);

	area_blocks = pages * HUGE_BLOCKS;
	area_versions = calloc(area_blocks, sizeof(*area_versions));
	area_addresses = calloc(pages, sizeof(*area_addresses));
	if (!device_versions || !area_versions || !area_addresses)
		fail("no memory");
	area = huge_pages(pages, area_addresses);
	scratch = huge_pages(1, &scratch_address);
	check_all();

	/* Without SA_RESTART, so that the signal ends a nap. */
	sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = ask }, NULL);
	answer("ok: %u blocks of the device, %u of the area, %s\n", device_blocks, area_blocks,
	       uio < 0 ? "no interrupts" : "interrupts");
	for (;;) {
		fetch();
		give();
		if (!below(8))
			touch();
		if (answered != asked) {
			answered = asked;
			check_all();
			answer("ok: %llu bytes, %u commands, %llu interrupts\n",
			       (unsigned long long)moved, seq, (unsigned long long)interrupts);
		}
		usleep(NAP_US);
	}
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Copy a file to a block device or back, with direct I/O in blocks of a fixed size and
 * many requests in flight from every CPU, so that all queues of the drive are used.
 *
 *   blkio write|read FILE DEVICE OFFSET BLOCKSIZE DEPTH linear|random
 *
 * FILE gives the length (for read, too), and must be a multiple of BLOCKSIZE. Prints
 * "REQUESTS MICROSECONDS".
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct job {
	int fd;
	uint16_t opcode;
	char *data;
	off_t offset;
	size_t block_size;
	unsigned long blocks;
	unsigned long depth;
	unsigned long *order;
};

static void *allocate(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (!p)
		err(1, "calloc");
	return p;
}

static unsigned long *make_order(unsigned long n, int shuffled)
{
	unsigned long *order = allocate(n, sizeof(*order));

	for (unsigned long i = 0; i < n; i++) {
		unsigned long other = shuffled ? random() % (i + 1) : i;

		order[i] = order[other];
		order[other] = i;
	}
	return order;
}

/* Transfer every @step-th block from @first on, with at most job->depth blocks in flight. */
static void transfer(const struct job *job, unsigned long first, unsigned long step)
{
	struct iocb *iocbs = allocate(job->depth, sizeof(*iocbs));
	struct io_event *events = allocate(job->depth, sizeof(*events));
	struct iocb **batch = allocate(job->depth, sizeof(*batch));
	unsigned long next = first, free_slots = job->depth, in_flight = 0;
	aio_context_t context = 0;

	if (syscall(SYS_io_setup, job->depth, &context))
		err(1, "io_setup");
	for (unsigned long i = 0; i < job->depth; i++)
		batch[i] = &iocbs[i];

	while (next < job->blocks || in_flight) {
		long n = 0;

		for (; free_slots && next < job->blocks; next += step, n++) {
			struct iocb *iocb = batch[--free_slots];
			size_t at = job->order[next] * job->block_size;

			*iocb = (struct iocb) {
				.aio_lio_opcode = job->opcode,
				.aio_fildes = job->fd,
				.aio_buf = (uintptr_t)job->data + at,
				.aio_nbytes = job->block_size,
				.aio_offset = job->offset + at,
			};
		}
		/* The slots just taken are those above the free ones. */
		if (n && syscall(SYS_io_submit, context, n, batch + free_slots) != n)
			err(1, "io_submit");
		in_flight += n;

		n = syscall(SYS_io_getevents, context, 1, in_flight, events, NULL);
		if (n < 1)
			err(1, "io_getevents");
		for (long i = 0; i < n; i++) {
			if (events[i].res != (int64_t)job->block_size)
				errx(1, "a request returned %lld", (long long)events[i].res);
			batch[free_slots++] = (struct iocb *)(uintptr_t)events[i].obj;
		}
		in_flight -= n;
	}
}

static void run_on_all_cpus(const struct job *job)
{
	unsigned long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int failed = 0, status;

	for (unsigned long cpu = 0; cpu < cpus; cpu++) {
		pid_t pid = fork();

		if (pid < 0)
			err(1, "fork");
		if (!pid) {
			cpu_set_t set;

			CPU_ZERO(&set);
			CPU_SET(cpu, &set);
			if (sched_setaffinity(0, sizeof(set), &set))
				err(1, "sched_setaffinity");
			transfer(job, cpu, cpus);
			_exit(0);
		}
	}
	while (wait(&status) > 0)
		failed |= status;
	if (failed)
		exit(1);
}

int main(int argc, char **argv)
{
	struct timespec start, end;
	struct job job = { };
	struct stat stat;
	int file;

	if (argc != 8)
		errx(2, "usage: %s write|read FILE DEVICE OFFSET BLOCKSIZE DEPTH linear|random",
		     argv[0]);
	job.opcode = strcmp(argv[1], "read") ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD;
	job.offset = strtoull(argv[4], NULL, 0);
	job.block_size = strtoul(argv[5], NULL, 0);
	job.depth = strtoul(argv[6], NULL, 0);

	file = open(argv[2], O_RDWR);
	if (file < 0 || fstat(file, &stat))
		err(1, "%s", argv[2]);
	job.blocks = stat.st_size / job.block_size;
	job.data = mmap(NULL, stat.st_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			file, 0);
	if (job.data == MAP_FAILED)
		err(1, "mmap %s", argv[2]);
	job.fd = open(argv[3], O_RDWR | O_DIRECT);
	if (job.fd < 0)
		err(1, "%s", argv[3]);
	srandom(time(NULL));
	job.order = make_order(job.blocks, !strcmp(argv[7], "random"));

	clock_gettime(CLOCK_MONOTONIC, &start);
	run_on_all_cpus(&job);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%lu %lld\n", job.blocks, (end.tv_sec - start.tv_sec) * 1000000LL +
	       (end.tv_nsec - start.tv_nsec) / 1000);
	return 0;
}

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device node: its name, what works before BIND, who may bind, and ioctls with wrong sizes and
 * pointers.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/config.h"
#include "lib/harness.h"
#include "lib/iommufd.h"
#include "lib/irq.h"
#include "lib/module.h"
#include "lib/region.h"
#include "../uapi/vfio_ext.h"

/* VFIO_GET_API_VERSION ... VFIO_GROUP_GET_DEVICE_FD: our header does not have them. */
#define LEGACY_IOCTL(n) _IO(';', 100 + (n))
#define LEGACY_IOCTLS 7

/* A size that ends where a member does. */
#define END(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

/*
 * Every ioctl that takes a structure, with its minimum size. The words are a valid argument from
 * byte 4 on that changes nothing.
 */
static const struct {
	const char *name;
	unsigned long nr;
	u32 minsz;
	u32 words[6];
} ioctls[] = {
	{ "GET_INFO", VFIO_DEVICE_GET_INFO, END(struct vfio_device_info, num_irqs), { 0 } },
	{ "GET_REGION_INFO", VFIO_DEVICE_GET_REGION_INFO, END(struct vfio_region_info, offset),
	  { 0, VFIO_PCI_CONFIG_REGION_INDEX } },
	{ "GET_IRQ_INFO", VFIO_DEVICE_GET_IRQ_INFO, END(struct vfio_irq_info, count),
	  { 0, VFIO_PCI_REQ_IRQ_INDEX } },
	{ "SET_IRQS", VFIO_DEVICE_SET_IRQS, END(struct vfio_irq_set, count),
	  { VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_PCI_REQ_IRQ_INDEX, 0, 1 } },
	{ "DETACH", VFIO_DEVICE_DETACH_IOMMUFD_PT, END(struct vfio_device_detach_iommufd_pt, flags),
	  { 0 } },
};

FIXTURE(cdev)
{
	const char *bdf;
	int iommufd;
	int fd;
};

FIXTURE_VARIANT(cdev)
{
	enum test_device dev;
};

FIXTURE_ALL_DEVICES(cdev);

FIXTURE_SETUP(cdev)
{
	SETUP_DEVICE(&self->bdf, variant->dev);
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	self->fd = vfio_cdev_open(self->bdf);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(cdev)
{
	close(self->fd);
	close(self->iommufd);
}

TEST_F(cdev, node)
{
	char path[64], text[64], want[64];
	struct stat st;
	int n;

	n = vfio_cdev_path(self->bdf, path, sizeof(path));
	ASSERT_LE(0, n);
	ASSERT_EQ(0, stat(path, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0600, st.st_mode & 07777);
	EXPECT_EQ(0, st.st_uid);

	snprintf(want, sizeof(want), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
	ASSERT_LT(0, sysfs_read(text, sizeof(text), "/sys/bus/pci/devices/%s/vfio-dev/vfio%d/dev",
				self->bdf, n));
	EXPECT_STREQ(want, text);
	ASSERT_LT(0, sysfs_read(text, sizeof(text), "/sys/class/vfio-dev/vfio%d/dev", n));
	EXPECT_STREQ(want, text);
	ASSERT_LT(0, sysfs_read(text, sizeof(text), "/sys/class/vfio-dev/vfio%d/uevent", n));
	snprintf(want, sizeof(want), "DEVNAME=vfio/devices/vfio%d", n);
	EXPECT_NE(NULL, strstr(text, want));
}

TEST_F(cdev, refused_before_bind)
{
	static const unsigned long others[] = {
		VFIO_DEVICE_RESET, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, VFIO_DEVICE_PCI_HOT_RESET,
		VFIO_DEVICE_FEATURE, VFIO_DEVICE_ATTACH_IOMMUFD_PT, VFIO_DEVICE_IOEVENTFD,
	};
	u32 arg[64];
	size_t i;
	void *p;

	for (i = 0; i < LIB_ARRAY_SIZE(ioctls); i++) {
		memset(arg, 0, sizeof(arg));
		arg[0] = sizeof(arg);
		memcpy(arg + 1, ioctls[i].words, sizeof(ioctls[i].words));
		EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, ioctls[i].nr, arg))
			TH_LOG("%s", ioctls[i].name);
	}
	for (i = 0; i < LIB_ARRAY_SIZE(others); i++) {
		memset(arg, 0, sizeof(arg));
		arg[0] = sizeof(arg);
		EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, others[i], arg));
	}
	/* Whether the number or the state is checked first does not matter. */
	for (i = 0; i < LEGACY_IOCTLS; i++) {
		int err = vfio_ioctl(self->fd, LEGACY_IOCTL(i), arg);

		EXPECT_TRUE(err == -EINVAL || err == -ENOTTY);
	}

	EXPECT_EQ(-EINVAL, config_read(self->fd, 0, 4));
	EXPECT_EQ(-EINVAL, config_write(self->fd, PCI_INTERRUPT_LINE, 1, 0));
	p = mmap(NULL, 0x1000, PROT_READ, MAP_SHARED, self->fd, 0);
	EXPECT_EQ(MAP_FAILED, p);
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(cdev, bind_once)
{
	u32 devid = 0, other = 0;
	int second;

	ASSERT_EQ(0, vfio_bind(self->fd, self->iommufd, &devid));
	EXPECT_NE(0, devid);
	EXPECT_EQ(-EINVAL, vfio_bind(self->fd, self->iommufd, NULL));

	/* Others may open the node, but there is only one owner. */
	second = vfio_cdev_open(self->bdf);
	ASSERT_LE(0, second);
	EXPECT_EQ(-EINVAL, vfio_bind(second, self->iommufd, NULL));
	EXPECT_EQ(-EINVAL, config_read(second, 0, 4));
	EXPECT_LE(0, config_read(self->fd, 0, 4));

	/* Until the owner closes it. */
	close(self->fd);
	self->fd = second;
	EXPECT_EQ(0, vfio_bind(second, self->iommufd, &other));
	EXPECT_LE(0, config_read(second, 0, 4));
}

TEST_F(cdev, bind_arguments)
{
	struct {
		struct vfio_device_bind_iommufd cmd;
		u64 more[2];
	} arg = { .cmd = { .argsz = sizeof(arg.cmd), .iommufd = self->iommufd } };
	const u32 min = END(struct vfio_device_bind_iommufd, out_devid);
	int other = eventfd(0, 0);
	void *ro;

	arg.cmd.argsz = min - 1;
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, &arg));
	arg.cmd.argsz = 0;
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, &arg));
	arg.cmd.argsz = sizeof(arg.cmd);

	arg.cmd.flags = 1u << 31;
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, &arg));
	arg.cmd.flags = 2;
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, &arg));
	arg.cmd.flags = 0;

	arg.cmd.iommufd = -1;
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, &arg));
	arg.cmd.iommufd = 1000;
	EXPECT_EQ(-EBADF, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, &arg));
	arg.cmd.iommufd = other;
	EXPECT_EQ(-EBADFD, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, &arg));
	arg.cmd.iommufd = self->iommufd;

	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, NULL));

	/* A newer, longer structure is only an error if its new fields are used. */
	arg.cmd.argsz = sizeof(arg);
	arg.more[1] = 1;
	EXPECT_EQ(-E2BIG, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, &arg));

	/* If the device ID cannot be written, it is not bound. */
	ro = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, ro);
	arg.cmd.argsz = sizeof(arg.cmd);
	memcpy(ro, &arg.cmd, sizeof(arg.cmd));
	ASSERT_EQ(0, mprotect(ro, 0x1000, PROT_READ));
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, ro));
	EXPECT_EQ(-EINVAL, config_read(self->fd, 0, 4));

	arg.cmd.argsz = sizeof(arg);
	arg.more[1] = 0;
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, &arg));
	close(other);
}

struct late_bind {
	int fd;
	struct vfio_device_bind_iommufd *cmd;
	int err;
};

static void *late_bind_thread(void *arg)
{
	struct late_bind *b = arg;

	b->err = vfio_ioctl(b->fd, VFIO_DEVICE_BIND_IOMMUFD, b->cmd);
	return NULL;
}

/* A page on which each write waits for us */
static int watch_page(void *page)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP };
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)page, .len = 0x1000 },
		.mode = UFFDIO_REGISTER_MODE_WP,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &reg) ? -errno : fd;
}

static int write_protect(int uffd, void *page, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = (uintptr_t)page, .len = 0x1000 },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(uffd, UFFDIO_WRITEPROTECT, &wp) ? -errno : 0;
}

/*
 * The page for the device ID goes away after the device was bound, so it is unbound again. In-tree,
 * locks that the other BIND needs are held while the write waits.
 */
TEST_F(cdev, answer_lost)
{
	struct late_bind b = { .fd = self->fd };
	int uffd, other = vfio_cdev_open(self->bdf), tries;
	struct uffd_msg msg;
	pthread_t thread;

	OURS_ONLY();
	ASSERT_LE(0, other);
	b.cmd = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, b.cmd);
	*b.cmd = (struct vfio_device_bind_iommufd){
		.argsz = sizeof(*b.cmd), .iommufd = self->iommufd,
	};
	uffd = watch_page(b.cmd);
	if (uffd < 0)
		SKIP(return, "userfaultfd: %s", strerror(-uffd));
	ASSERT_EQ(0, write_protect(uffd, b.cmd, true));
	ASSERT_EQ(0, pthread_create(&thread, NULL, late_bind_thread, &b));
	for (tries = 0; tries < 10; tries++) {
		ASSERT_EQ(sizeof(msg), read(uffd, &msg, sizeof(msg)));
		if (vfio_bind(other, 1000, NULL) == -EINVAL)
			break;
		/* Not the answer yet */
		ASSERT_EQ(0, write_protect(uffd, b.cmd, false));
		usleep(1000);
		ASSERT_EQ(0, write_protect(uffd, b.cmd, true));
	}
	EXPECT_GT(10, tries);
	EXPECT_EQ(-EINVAL, config_read(self->fd, 0, 4));
	ASSERT_EQ(0, mprotect(b.cmd, 0x1000, PROT_READ));
	ASSERT_EQ(0, write_protect(uffd, b.cmd, false));
	pthread_join(thread, NULL);
	EXPECT_EQ(-EFAULT, b.err);

	/* It is not bound. */
	EXPECT_EQ(-EINVAL, config_read(self->fd, 0, 4));
	EXPECT_EQ(0, vfio_bind(other, self->iommufd, NULL));
	close(other);
	EXPECT_EQ(0, vfio_bind(self->fd, self->iommufd, NULL));
	EXPECT_LE(0, config_read(self->fd, 0, 4));
	close(uffd);
}

/* A device for which the firmware requires mappings, as by an RMRR, is refused. */
TEST(firmware_maps)
{
	struct vfio_device_last_error last = { .argsz = sizeof(last) };
	int iommufd = iommufd_open(), fd, err;
	const char *bdf;
	char args[64];

	SETUP_DEVICE(&bdf, DEV_EDU);
	fd = vfio_cdev_open(bdf);
	ASSERT_LE(0, fd);
	snprintf(args, sizeof(args), "device=%s firmware_maps=1", bdf);
	err = module_load("odd-function", args);
	if (err)
		SKIP(return, "odd-function.ko: %s", strerror(-err));
	EXPECT_EQ(-EINVAL, vfio_bind(fd, iommufd, NULL));
	if (driver_is_ours()) {
		EXPECT_EQ(0, vfio_ioctl(fd, VFIO_DEVICE_GET_LAST_ERROR, &last));
		EXPECT_NE(NULL, strstr((char *)last.text, "reserved_regions"))
			TH_LOG("%s", last.text);
	}
	ASSERT_EQ(0, module_unload("odd-function"));
	EXPECT_EQ(0, vfio_bind(fd, iommufd, NULL));
	close(fd);
	close(iommufd);
}

TEST_F(cdev, bind_smallest)
{
	struct vfio_device_bind_iommufd cmd = {
		.argsz = END(struct vfio_device_bind_iommufd, out_devid),
		.iommufd = self->iommufd,
	};

	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, &cmd));
	EXPECT_NE(0, cmd.out_devid);
}

TEST_F(cdev, bind_token)
{
	u8 uuid[16] = { 1, 2, 3 };
	struct vfio_device_bind_iommufd cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_DEVICE_BIND_FLAG_TOKEN,
		.iommufd = self->iommufd,
		.token_uuid_ptr = (uintptr_t)uuid,
	};
	char text[16];

	if (sysfs_read(text, sizeof(text), "/sys/bus/pci/devices/%s/sriov_totalvfs",
		       self->bdf) > 0) {
		/* A PF without users of its VFs accepts any token, see sriov_test. */
		EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, &cmd));
		return;
	}

	/* A token for a device that needs none is an error. */
	EXPECT_EQ(-EINVAL, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, &cmd));
	cmd.token_uuid_ptr = 8;
	EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, &cmd));
	cmd.flags = 0;
	EXPECT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_BIND_IOMMUFD, &cmd));
}

TEST_F(cdev, no_legacy)
{
	u32 arg[64] = { sizeof(arg) };
	int i;

	ASSERT_EQ(0, vfio_bind(self->fd, self->iommufd, NULL));
	for (i = 0; i < LEGACY_IOCTLS; i++)
		EXPECT_EQ(-ENOTTY, vfio_ioctl(self->fd, LEGACY_IOCTL(i), arg));
	/* Nor unknown ones: an unused number, and another type. */
	EXPECT_EQ(-ENOTTY, vfio_ioctl(self->fd, LEGACY_IOCTL(80), arg));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(self->fd, _IO('x', 107), arg));
	EXPECT_EQ(-ENOTTY, vfio_ioctl(self->fd, _IOWR(';', 107, u32), arg));
}

TEST_F(cdev, argument_sizes)
{
	u32 arg[64], n;
	size_t i;
	int efd = event_new();

	ASSERT_EQ(0, vfio_bind(self->fd, self->iommufd, NULL));
	ASSERT_EQ(0, irq_eventfd(self->fd, VFIO_PCI_REQ_IRQ_INDEX, 0, efd));
	for (i = 0; i < LIB_ARRAY_SIZE(ioctls); i++) {
		for (n = 0; n < 3; n++) {
			/* One byte short, larger with junk after the end, and 0. */
			const u32 size[] = { ioctls[i].minsz - 1, sizeof(arg), 0 };

			memset(arg, 0xff, sizeof(arg));
			memset(arg, 0, ioctls[i].minsz);
			memcpy(arg + 1, ioctls[i].words, ioctls[i].minsz - 4);
			if (ioctls[i].nr == VFIO_DEVICE_SET_IRQS)
				arg[5] = 0;
			arg[0] = size[n];
			EXPECT_EQ(n == 1 ? 0 : -EINVAL, vfio_ioctl(self->fd, ioctls[i].nr, arg))
				TH_LOG("%s with argsz %u", ioctls[i].name, size[n]);
		}
		EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, ioctls[i].nr, NULL))
			TH_LOG("%s", ioctls[i].name);
	}
	EXPECT_EQ(0, event_take(efd));
}

/* An argument may end at the end of a mapping, but not beyond it. */
TEST_F(cdev, argument_at_page_end)
{
	char *p = mmap(NULL, 0x2000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u32 *arg;
	size_t i;

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, munmap(p + 0x1000, 0x1000));
	ASSERT_EQ(0, vfio_bind(self->fd, self->iommufd, NULL));
	for (i = 0; i < LIB_ARRAY_SIZE(ioctls); i++) {
		if (ioctls[i].nr == VFIO_DEVICE_SET_IRQS)
			continue;
		arg = (u32 *)(p + 0x1000 - ioctls[i].minsz);
		memcpy(arg + 1, ioctls[i].words, ioctls[i].minsz - 4);
		arg[0] = ioctls[i].minsz;
		EXPECT_EQ(0, vfio_ioctl(self->fd, ioctls[i].nr, arg))
			TH_LOG("%s", ioctls[i].name);
		EXPECT_EQ(-EFAULT, vfio_ioctl(self->fd, ioctls[i].nr, p + 0x1000 - 4))
			TH_LOG("%s", ioctls[i].name);
	}
}

TEST_F(cdev, info)
{
	struct {
		struct vfio_device_info info;
		u8 caps[256];
	} arg = { .info.argsz = sizeof(arg) };
	struct vfio_region_info region;
	struct vfio_irq_info irq;
	u32 i;

	ASSERT_EQ(0, vfio_bind(self->fd, self->iommufd, NULL));
	ASSERT_EQ(0, vfio_ioctl(self->fd, VFIO_DEVICE_GET_INFO, &arg));
	EXPECT_NE(0, arg.info.flags & VFIO_DEVICE_FLAGS_PCI);
	EXPECT_EQ(0, arg.info.flags & ~(VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET |
					VFIO_DEVICE_FLAGS_CAPS));
	EXPECT_EQ(VFIO_PCI_NUM_REGIONS, arg.info.num_regions);
	EXPECT_EQ(VFIO_PCI_NUM_IRQS, arg.info.num_irqs);

	/* All regions below the number (except for VGA) have info, and none above. */
	for (i = 0; i < arg.info.num_regions + 2; i++) {
		int err = region_info(self->fd, i, &region);

		if (i == VFIO_PCI_VGA_REGION_INDEX || i >= arg.info.num_regions) {
			EXPECT_EQ(-EINVAL, err);
		} else {
			EXPECT_EQ(0, err);
		}
	}
	EXPECT_EQ(-EINVAL, region_info(self->fd, ~0u, &region));
	for (i = 0; i < arg.info.num_irqs; i++)
		EXPECT_EQ(0, irq_info(self->fd, i, &irq));
	EXPECT_EQ(-EINVAL, irq_info(self->fd, i, &irq));
	EXPECT_EQ(-EINVAL, irq_info(self->fd, ~0u, &irq));
}

TEST_F(cdev, nothing_to_read)
{
	char buf;

	ASSERT_EQ(0, vfio_bind(self->fd, self->iommufd, NULL));
	EXPECT_EQ(0, region_pread(self->fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, &buf, 0));
	EXPECT_EQ(0, region_pwrite(self->fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, &buf, 0));
	/* Beyond the last region. */
	EXPECT_EQ(-EINVAL, region_pread(self->fd, VFIO_PCI_NUM_REGIONS, 0, &buf, 1));
	EXPECT_EQ(-EINVAL, region_pwrite(self->fd, VFIO_PCI_NUM_REGIONS, 0, &buf, 1));
	/* And invalid pointers. */
	EXPECT_EQ(-EFAULT, region_pread(self->fd, VFIO_PCI_CONFIG_REGION_INDEX, 0, NULL, 4));
	EXPECT_EQ(-EFAULT, region_pwrite(self->fd, VFIO_PCI_CONFIG_REGION_INDEX,
					 PCI_INTERRUPT_LINE, NULL, 1));
}

/* The open file is bound, not the descriptor: it lives as long as any reference to it. */
TEST_F(cdev, dup_and_fork)
{
	int copy, go[2], status = -1;
	pid_t pid;
	char c;

	ASSERT_EQ(0, vfio_bind(self->fd, self->iommufd, NULL));
	copy = dup(self->fd);
	ASSERT_LE(0, copy);
	close(self->fd);
	EXPECT_LE(0, config_read(copy, 0, 4));
	EXPECT_EQ(-EINVAL, vfio_bind(copy, self->iommufd, NULL));

	ASSERT_EQ(0, pipe(go));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* The last reference is the child's. */
		close(go[1]);
		if (read(go[0], &c, 1) < 0)
			_exit(2);
		_exit(config_read(copy, 0, 4) < 0);
	}
	close(go[0]);
	close(copy);
	self->fd = vfio_cdev_open(self->bdf);
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(-EINVAL, vfio_bind(self->fd, self->iommufd, NULL));
	close(go[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, vfio_bind(self->fd, self->iommufd, NULL));
}

/* The context lives as long as a device is bound to it. */
TEST_F(cdev, iommufd_closed_first)
{
	u32 pt;

	ASSERT_EQ(0, vfio_bind(self->fd, self->iommufd, NULL));
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &pt));
	ASSERT_EQ(0, vfio_attach(self->fd, &pt));
	close(self->iommufd);
	EXPECT_LE(0, config_read(self->fd, 0, 4));
	close(self->fd);

	self->iommufd = iommufd_open();
	self->fd = vfio_cdev_open(self->bdf);
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(0, vfio_bind(self->fd, self->iommufd, NULL));
}

TEST_F(cdev, close_while_attached)
{
	struct session s;
	int i;

	close(self->fd);
	self->fd = -1;
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, session_open(&s, self->bdf));
		session_close(&s);
	}
}

/* Races cost a reset for each round, so only one device runs them. */
FIXTURE(race)
{
	const char *bdf;
	int iommufd;
	int fd;
	pthread_barrier_t barrier;
	int result;
};

FIXTURE_SETUP(race)
{
	SETUP_DEVICE(&self->bdf, DEV_NVME);
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	pthread_barrier_init(&self->barrier, NULL, 2);
}

FIXTURE_TEARDOWN(race)
{
	close(self->iommufd);
}

#define RACE_ROUNDS 10

static void *bind_thread(void *arg)
{
	FIXTURE_DATA(race) *self = arg;

	pthread_barrier_wait(&self->barrier);
	self->result = vfio_bind(self->fd, self->iommufd, NULL);
	return NULL;
}

TEST_F(race, bind_against_close)
{
	pthread_t thread;
	int i;

	for (i = 0; i < RACE_ROUNDS; i++) {
		self->fd = vfio_cdev_open(self->bdf);
		ASSERT_LE(0, self->fd);
		ASSERT_EQ(0, pthread_create(&thread, NULL, bind_thread, self));
		pthread_barrier_wait(&self->barrier);
		close(self->fd);
		pthread_join(thread, NULL);
		EXPECT_TRUE(self->result == 0 || self->result == -EBADF);
	}
	self->fd = vfio_cdev_open(self->bdf);
	ASSERT_LE(0, self->fd);
	EXPECT_EQ(0, vfio_bind(self->fd, self->iommufd, NULL));
	close(self->fd);
}

TEST_F(race, bind_against_bind)
{
	pthread_t thread;
	int i, mine;

	for (i = 0; i < RACE_ROUNDS; i++) {
		int other = vfio_cdev_open(self->bdf);

		self->fd = vfio_cdev_open(self->bdf);
		ASSERT_LE(0, self->fd);
		ASSERT_LE(0, other);
		ASSERT_EQ(0, pthread_create(&thread, NULL, bind_thread, self));
		pthread_barrier_wait(&self->barrier);
		mine = vfio_bind(other, self->iommufd, NULL);
		pthread_join(thread, NULL);
		/* One and only one. */
		EXPECT_EQ(-EINVAL, mine + self->result);
		close(other);
		close(self->fd);
	}
}

TEST_HARNESS_MAIN

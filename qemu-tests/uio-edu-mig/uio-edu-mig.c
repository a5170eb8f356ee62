// SPDX-License-Identifier: GPL-2.0-only
/*
 * In a guest: report edu-mig's interrupts to programs, through /dev/uioN. Programs access the rest
 * of the device through sysfs. If the guest has an IOMMU that translates, physical addresses of
 * memory are mapped one to one for the device.
 */
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/uio_driver.h>

#define EDU_IRQ	0x20
#define EDU_ACK	0x24

/* What guests of qemu-tests/guest have */
#define MEMORY	SZ_256M

struct edu {
	struct uio_info info;
	void __iomem *regs;
};

static irqreturn_t edu_irq(int irq, struct uio_info *info)
{
	struct edu *edu = info->priv;
	u32 pending = ioread32(edu->regs + EDU_IRQ);

	if (!pending)
		return IRQ_NONE;
	iowrite32(pending, edu->regs + EDU_ACK);
	return IRQ_HANDLED;
}

static void edu_free_vectors(void *data)
{
	pci_free_irq_vectors(data);
}

static void edu_unmap(void *data)
{
	iommu_unmap(data, SZ_2M, MEMORY - SZ_2M);
}

static int edu_map(struct pci_dev *pdev)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(&pdev->dev);
	int ret;

	if (!domain || !(domain->type & __IOMMU_DOMAIN_PAGING))
		return 0;
	ret = iommu_map(domain, SZ_2M, SZ_2M, MEMORY - SZ_2M, IOMMU_READ | IOMMU_WRITE, GFP_KERNEL);
	if (ret)
		return ret;
	return devm_add_action_or_reset(&pdev->dev, edu_unmap, domain);
}

static int edu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct edu *edu = devm_kzalloc(&pdev->dev, sizeof(*edu), GFP_KERNEL);
	int ret;

	if (!edu)
		return -ENOMEM;
	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	edu->regs = pcim_iomap(pdev, 0, 0);
	if (!edu->regs)
		return -ENOMEM;
	ret = edu_map(pdev);
	if (ret)
		return ret;
	pci_set_master(pdev);
	ret = pci_alloc_irq_vectors(pdev, 1, 1, PCI_IRQ_MSI);
	if (ret < 0)
		return ret;
	ret = devm_add_action_or_reset(&pdev->dev, edu_free_vectors, pdev);
	if (ret)
		return ret;
	edu->info = (struct uio_info){
		.name = "edu-mig",
		.version = "1",
		.irq = pci_irq_vector(pdev, 0),
		.handler = edu_irq,
		.priv = edu,
	};
	return devm_uio_register_device(&pdev->dev, &edu->info);
}

static const struct pci_device_id edu_table[] = {
	{ PCI_DEVICE(0x1234, 0x11ea) },
	{}
};

static struct pci_driver edu_driver = {
	.name = "uio-edu-mig",
	.id_table = edu_table,
	.probe = edu_probe,
};
module_pci_driver(edu_driver);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Interrupts of edu-mig for user space");

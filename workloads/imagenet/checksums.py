"""ImageNet's archives as they are published."""

from __future__ import annotations

from pacebench.preparing import Published
from workloads.imagenet.raw import DEVKIT_ARCHIVE, TRAIN_ARCHIVE, VAL_ARCHIVE

# The sums: torchvision, datasets/imagenet.py. The sizes: as mirrors list them; a wrong one here
# would only mean that the sum is not compared.
PUBLISHED = {
    name: Published(n_bytes=n_bytes, algorithm="md5", digest=digest)
    for name, n_bytes, digest in (
        (TRAIN_ARCHIVE, 147_897_477_120, "1d675b47d978889d74fa0da5fadfb00e"),
        (VAL_ARCHIVE, 6_744_924_160, "29b22e2961454d5413ddabcf34fc5622"),
        (DEVKIT_ARCHIVE, 2_568_145, "fa75699e90414af021442c21a62c3abf"),
    )
}

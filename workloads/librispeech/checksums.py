"""LibriSpeech's archives as they are published."""

from __future__ import annotations

from pacebench.preparing import Published

# As TensorFlow Datasets 4.9.10 lists them (datasets/librispeech).
PUBLISHED = {
    name: Published(
        n_bytes=n_bytes,
        algorithm="sha256",
        digest=digest,
        url=f"http://www.openslr.org/resources/12/{name}",
    )
    for name, n_bytes, digest in (
        (
            "train-clean-100.tar.gz",
            6_387_309_499,
            "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2",
        ),
        (
            "train-clean-360.tar.gz",
            23_049_477_885,
            "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf",
        ),
        (
            "train-other-500.tar.gz",
            30_593_501_606,
            "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2",
        ),
        (
            "dev-clean.tar.gz",
            337_926_286,
            "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3",
        ),
        (
            "dev-other.tar.gz",
            314_305_928,
            "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365",
        ),
        (
            "test-clean.tar.gz",
            346_663_984,
            "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23",
        ),
    )
}

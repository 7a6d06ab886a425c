"""A trial does not train on the CPU in silence when it was given a GPU.

Imports Ray, starts nothing.
"""

import pytest

from trainables.ray_trial import check_device


@pytest.mark.parametrize(
    ("gpu_ids", "named"),
    [(["0"], "GPU 0"), (["2", "3"], "GPU 2, 3"), (["MIG-1f"], "GPU MIG-1f"), ([], "GPU none")],
)
def test_a_gpu_that_torch_cannot_see_is_refused_with_the_mend(
    gpu_ids: list[str], named: str
) -> None:
    with pytest.raises(
        RuntimeError, match=f"Ray gave the trial {named}, but torch sees no GPU.*--gpus 0"
    ):
        check_device("cuda", gpu_ids, cuda_available=False)


@pytest.mark.parametrize(
    ("device", "gpu_ids", "cuda_available"),
    [("cpu", [], False), ("cpu", [], True), ("cuda", ["1"], True)],
)
def test_what_fits_passes(device: str, gpu_ids: list[str], cuda_available: bool) -> None:
    check_device(device, gpu_ids, cuda_available)

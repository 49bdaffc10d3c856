"""`python -m pacebench.backends.probe_torch`: says as JSON what torch is and which GPUs it sees."""

import json

import torch

GPUS = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
torch.ones(2, device="cuda" if GPUS else "cpu").sum().item()  # a device that is seen also works
print(json.dumps({"version": torch.__version__, "cuda": torch.version.cuda, "gpus": GPUS}))

"""The small `fit` that the tests of the pipeline look at."""

from pocketcnn.pipeline.effort import Effort

TINY = Effort(
    candidates=2, rounds=(20, 20), final_steps=60, recovery_steps=40, quantized_steps=10, min_epochs=1, more_steps=False
)
LITTLE = Effort(
    candidates=1,
    rounds=(3,),
    final_steps=12,
    recovery_steps=6,
    quantized_steps=3,
    short_steps=2,
    episodes=6,
    min_epochs=1,
    more_steps=False,
)
"""For what is found out without training."""

NETWORKS = ("mobilenet_v3_small", "mobilenet_v1")
BUDGET = "size<=58kB, latency<=50ms@onnxruntime-cpu, ram<=100kB"

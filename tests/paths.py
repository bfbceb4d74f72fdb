"""Where the tests find what the project ships."""

from emollm import catalog, weights

SAMPLES = catalog.folder("instruct_data") / "samples"
HAVE_WEIGHTS = all(weights.ready(name) for name in weights.names("mini"))

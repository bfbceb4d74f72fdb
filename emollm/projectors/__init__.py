"""Features to tokens the language model reads: the trainable bridges; speaks of width, queries and budget."""

PROJECTORS = {
    "mlp": "emollm.projectors.mlp:MlpProjector",
}
FUSERS = {
    "conv-attention": "emollm.projectors.fusion:ConvAttentionFuser",
}

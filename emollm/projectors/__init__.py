"""Features to tokens the language model reads: the trainable bridges; speaks of width, queries and budget."""

PROJECTORS = {
    "mlp": "emollm.projectors.mlp:MlpProjector",
    "linear": "emollm.projectors.linear:LinearProjector",
    "two-layer": "emollm.projectors.linear:TwoLayerProjector",
    "mean-linear": "emollm.projectors.linear:MeanLinearProjector",
    "q-former": "emollm.projectors.q_former:QFormerProjector",
    "face-temporal": "emollm.projectors.face_temporal:FaceTemporalProjector",
}
FUSERS = {
    "conv-attention": "emollm.projectors.fusion:ConvAttentionFuser",
    "hierarchical-experts": "emollm.projectors.experts:HierarchicalExpertsFuser",
    "pre-fusion": "emollm.projectors.pre_fusion:PreFusionFuser",
    "q-former-fusion": "emollm.projectors.q_former_fusion:QFormerFuser",
    "prompt-guided": "emollm.projectors.prompt_guided:PromptGuidedFuser",
}

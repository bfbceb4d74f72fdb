"""Views of a clip to features, by frozen networks; speaks of views, features and depth, never of tokenizers or the language model."""

"""The assembled model; speaks of embeddings, placeholders and parameter groups, never of clips' paths or label names."""

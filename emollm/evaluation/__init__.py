"""Cards, pairs and scores; meets a model only as a ChatBackend."""

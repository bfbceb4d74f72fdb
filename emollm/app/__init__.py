"""The app: a page to load clips, see what they show, and talk about it. Meets the model only at `ChatBackend`."""

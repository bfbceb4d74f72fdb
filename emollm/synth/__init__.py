"""Synthetic people: rendered clips of persons who do not exist, with the exact truth about every frame."""

"""Features to tokens the language model reads: the trainable bridges; speaks of width, queries and budget."""

"""Replies to many people at once from one language model: cores that compute, and a scheduler that shares one among requests.

Words of this room: core, sequence, position, request, stream, step. It does not know clips, messages or recipes: a prompt arrives as
embeddings, and what makes a position the same as another as an opaque owner.
"""

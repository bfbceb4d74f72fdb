"""Files to clips, and faces in clips; speaks of seconds, pixels, boxes and samples, never of tokens, weights or emotions."""

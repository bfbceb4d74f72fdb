"""Work spread over processes and machines by Ray (extra `ray`); which clips, which systems and which answers is decided elsewhere."""

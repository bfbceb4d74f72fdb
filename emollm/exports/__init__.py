"""An Analysis to what people and programs read: plain data, tables, subtitles, pictures."""

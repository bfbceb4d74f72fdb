"""Messages in, replies out: the one protocol through which app, server, command line and evaluation meet a model."""

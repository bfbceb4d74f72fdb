"""What each command of the command line does; arguments in, values printed, errors left to `cli`."""

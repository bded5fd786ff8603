"""What speaks to a person: flags, loops over folders, progress, exit codes. One module a command."""

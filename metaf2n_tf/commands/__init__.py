"""What speaks to a person: flags, loops over folders, progress, exit codes.

One module of flags a command, in `main.COMMANDS`; `runs` holds what they do, where that is more than a call.
"""

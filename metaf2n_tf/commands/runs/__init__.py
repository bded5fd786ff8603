"""The loops behind the commands: folders in, results and records out."""

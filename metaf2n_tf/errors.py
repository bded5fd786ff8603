"""The one exception that stands for a user's mistake: its text is the whole message, one line."""


class UserError(Exception):
    """Something the user can mend. The message names the file or flag, and the remedy."""

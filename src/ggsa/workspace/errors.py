"""The one exception that means "the user can mend this".

Everything that a user may get wrong (a parameter, a file, an asset that cannot be had) raises
`UserError` with one paragraph that names the place, the value and the remedy. The stages print it
without a traceback; any other exception is a defect of this project and keeps its traceback.
"""


class UserError(Exception):
    """A mistake or circumstance that the user can mend; the message says how."""

"""What the six lessons share but do not teach: machine, models, weights, pictures, figures, results.

Importing this package does not import torch, so that `python run_all_sections.py menu` answers at once.
"""


class UserError(Exception):
    """Something the reader can mend. Its text is one sentence that says what was wrong and what to do.

    Lessons and runner print the sentence on stderr and exit with `status`, without a traceback.
    """

    status = 2

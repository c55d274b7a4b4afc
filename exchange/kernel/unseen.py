"""Characters that show as nothing and are printable all the same: two texts that look alike must not be two."""

import re
from typing import Final

UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""The rest of Unicode's Default_Ignorable_Code_Point, which no category of hidden characters has (joiners, fillers,
variation selectors), and the empty cell of Braille."""

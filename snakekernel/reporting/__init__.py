"""How far work is: counted where it runs, told to whoever asked for it, shown where nobody did.

Rules: knows of no kernel and no client; the kernel says whom to tell (``telling.find``). Nothing heavy is
imported before it is used, and tqdm only where it is there.
"""

from __future__ import annotations

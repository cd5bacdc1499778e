"""``python -m microctsr_core`` is the ``microctsr`` command."""

from .cli import main

if __name__ == "__main__":
    main()

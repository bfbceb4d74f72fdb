"""`python app.py` is `emollm app`, with the same options."""

import sys

from emollm.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["app"]
    main()

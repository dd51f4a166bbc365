"""The portal: the pages on which the home organization's people ask, and read what came of it."""

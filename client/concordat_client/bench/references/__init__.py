"""The frozen references. A test pins their digests: a change would move every ratio that was ever printed."""

"""Games and followers that other libraries and other programs bring."""

"""The feeds: one file a feed, and the object that it makes; the columns of their rows. Pure."""

"""Leaders, followers, what they may know, and the loop in which they meet."""

"""Training of the image tower before the head: on noisy crops, towards soft labels of a teacher."""
